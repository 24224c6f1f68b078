"""Topics tell kinds of texts apart, the same each time, and spreading takes them in turn."""

import random

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.ingest.topics import names_of, spread, topics_of


def test_texts_about_the_same_thing_share_a_topic() -> None:
    kinds = (
        ("python", "function", "list", "sort", "bug", "class", "loop"),
        ("soup", "garlic", "oven", "bake", "recipe", "dinner", "salt"),
        ("treaty", "empire", "king", "war", "century", "revolution", "army"),
    )
    rng = random.Random(0)
    drawn = [rng.randrange(3) for _ in range(300)]
    texts = [" ".join(rng.sample(kinds[kind], 4)) for kind in drawn]
    topics = topics_of(texts, 3, seed=1)
    assert len(set(zip(drawn, topics, strict=True))) == 3
    assert topics_of(texts, 3, seed=1) == topics


@given(st.lists(st.text(max_size=20), max_size=30), st.integers(1, 5))
def test_every_text_gets_a_topic(texts: list[str], number: int) -> None:
    topics = topics_of(texts, number, seed=1)
    assert len(topics) == len(texts)
    assert all(0 <= topic < number for topic in topics)


@given(st.lists(st.integers(0, 4), max_size=40))
def test_strata_are_taken_in_turn_as_long_as_they_last(strata: list[int]) -> None:
    order = spread(strata)
    assert sorted(order) == list(range(len(strata)))
    for taken in range(len(order)):
        counts = {s: sum(strata[p] == s for p in order[:taken]) for s in set(strata)}
        left = [s for s in counts if counts[s] < strata.count(s)]
        assert not left or max(counts.values()) - min(counts[s] for s in left) <= 1


def test_a_topic_is_named_by_the_words_that_tell_it_from_the_others() -> None:
    texts = ["please sort a python list", "the python list again", "bake garlic soup", "soup 12"]
    names = names_of(texts, [0, 0, 1, 1])
    assert names[0].split(", ")[:2] == ["list", "python"]
    assert names[1].startswith("soup")


@given(st.lists(st.tuples(st.text(max_size=20), st.integers(0, 4)), max_size=30))
def test_every_topic_has_a_name_of_its_own(drawn: list[tuple[str, int]]) -> None:
    topics = [topic for _, topic in drawn]
    names = names_of([text for text, _ in drawn], topics)
    assert set(names) == set(topics)
    assert all(names.values())
    assert len(set(names.values())) == len(names)
