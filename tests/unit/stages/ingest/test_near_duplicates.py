"""Near-duplicates are found and verified, whatever the texts."""

import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.stages.ingest.columns import Columns
from parrot_core.stages.ingest.near_duplicates import (
    BANDS,
    Groups,
    Pair,
    repeats,
    signatures,
    similar_pairs,
)
from parrot_core.stages.ingest.shingles import Shingler, jaccard


def _text(rng: random.Random, words: int) -> list[str]:
    return [f"w{rng.randrange(5000)}" for _ in range(words)]


def _pairs(texts: list[str], least: float) -> list[Pair]:
    shingler = Shingler()
    hashes = [shingler.of_text(text) for text in texts]
    with tempfile.TemporaryDirectory() as folder, Columns(Path(folder), BANDS) as columns:
        for bands in signatures(hashes):
            columns.append(bands.tobytes())
        alike = (places.tolist() for band in range(BANDS) for places in columns.alike(band))
        return similar_pairs(alike, lambda place: hashes[place], least, range(len(texts)))


def test_texts_with_a_few_other_words_are_found_and_no_others() -> None:
    rng = random.Random(1)
    originals = [_text(rng, 200) for _ in range(300)]
    copies = []
    for words in originals[:100]:
        changed = list(words)
        for place in rng.sample(range(200), 5):
            changed[place] = "other"
        copies.append(changed)
    found = _pairs([" ".join(words) for words in originals + copies], 0.8)
    assert {(pair.first, pair.second) for pair in found} == {(i, 300 + i) for i in range(100)}


def test_a_large_family_is_found_whole() -> None:
    rng = random.Random(2)
    base = _text(rng, 100)
    texts = [" ".join([*base, f"tail{number}"]) for number in range(300)]
    pairs = _pairs(texts, 0.8)
    assert set(repeats(pairs)) == set(range(1, 300))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet="ab ", min_size=3, max_size=30), max_size=12))
def test_every_pair_found_is_as_similar_as_it_says(texts: list[str]) -> None:
    shingler = Shingler()
    texts = [text for text in texts if text.strip()]
    for pair in _pairs(texts, 0.6):
        assert pair.first < pair.second
        own = [shingler.of_text(texts[place]) for place in (pair.first, pair.second)]
        assert pair.similarity == jaccard(*own) >= 0.6


def test_words_of_any_script_and_case_make_triples() -> None:
    shingler = Shingler()
    assert shingler.of_text("How Are YOU today").size == 2
    assert jaccard(shingler.of_text("how are you"), shingler.of_text("How are you?")) == 1
    assert shingler.of_text("你好吗朋友").size == 3
    assert shingler.of_text("").size == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=15))
def test_a_group_goes_by_its_lowest_member(links: list[tuple[int, int]]) -> None:
    groups = Groups(range(10))
    for first, second in links:
        groups.join(first, second)
    for place in range(10):
        members = [other for other in range(10) if groups.root(other) == groups.root(place)]
        assert groups.root(place) == min(members)


def test_what_is_like_a_rejected_text_only_stays() -> None:
    pairs = [Pair(0, 1, 0.9), Pair(1, 2, 0.9)]
    assert set(repeats(pairs)) == {1}
