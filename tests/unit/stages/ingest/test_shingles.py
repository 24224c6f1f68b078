"""Many texts at once are read as each of them alone, in any script."""

import hashlib
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.contamination import MIN_TRIPLES, BenchmarkQuestions
from parrot_core.stages.ingest.examine import _content_digest
from parrot_core.stages.ingest.shingles import QUERY_CHARS, Shingler
from parrot_core.text.similarity import tokens, tokens_of_each

TEXT = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="ab 你好_1²½ſßİé\u0301\u3000\x1c\n", max_size=40),
    st.sampled_from(["", "Hi", "Lorem ipsum dolor sit amet. " * 200]),
)
SESSION = st.lists(TEXT, min_size=1, max_size=5)


def _messages(texts: list[str]) -> list[Message]:
    return [
        {"role": "assistant" if place % 2 else "user", "content": text}
        for place, text in enumerate(texts)
    ]


@given(st.lists(TEXT, max_size=8))
def test_words_of_many_texts_are_those_of_each(texts: list[str]) -> None:
    assert tokens_of_each(texts).to_list() == [tokens(text) for text in texts]


def test_every_character_is_a_word_or_none_for_both() -> None:
    texts = [
        " ".join(map(chr, range(start, start + 256)))
        for start in range(0, sys.maxunicode, 256)
        if not 0xD800 <= start < 0xE000
    ]
    assert tokens_of_each(texts).to_list() == [tokens(text) for text in texts]


@settings(deadline=None)
@given(st.lists(SESSION, max_size=6))
def test_sessions_together_have_the_shingles_that_each_has_alone(texts: list[list[str]]) -> None:
    sessions, shingler = [_messages(one) for one in texts], Shingler()
    together = shingler.of_each(sessions)
    assert len(together) == len(sessions)
    for messages, (whole, opening) in zip(sessions, together, strict=True):
        np.testing.assert_array_equal(whole, Shingler().of_session(messages))
        np.testing.assert_array_equal(opening, Shingler().of_query(messages[0]["content"]))
        assert np.all(np.diff(whole.astype(object)) > 0)


@given(SESSION)
def test_a_digest_is_that_of_the_words_in_lower_case_and_ignores_spacing(texts: list[str]) -> None:
    plain = "\0".join(" ".join(text.casefold().split()) for text in texts)
    expected = hashlib.blake2b(plain.encode(), digest_size=16).digest()
    assert _content_digest(_messages(texts)) == expected


WORDS = [f"word{number}" for number in range(12)]


@settings(deadline=None)
@given(
    question=st.lists(st.sampled_from(WORDS), min_size=2, max_size=30),
    query=st.lists(st.sampled_from(WORDS), min_size=1, max_size=40),
    whole=st.booleans(),
    least=st.sampled_from([0.3, 0.5, 0.8, 1.0]),
)
def test_a_query_holds_a_question_if_it_has_enough_of_its_triples(
    question: list[str], query: list[str], whole: bool, least: float
) -> None:
    shingler = Shingler()
    text = " ".join([*query, *question, *query] if whole else query)
    own, found = shingler.of_text(" ".join(question)), shingler.of_text(text[:QUERY_CHARS])
    held = own.size >= MIN_TRIPLES and np.isin(own, found).sum() / own.size >= least
    benchmark = BenchmarkQuestions([" ".join(question)], shingler, least)
    session = _messages([text, "reply"])
    assert bool(benchmark.found_in(session, shingler.of_session(session))) == held
