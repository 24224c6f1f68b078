"""Queries that sessions share are counted, whatever their order in memory or on disk."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.stages.filters.copies import LEAST_TOKENS, QueryCopies

LONG = "Please write a product description for a small green bicycle that folds and weighs little"
OTHER = "Which of the seven lakes in the north of the country is safe to swim in during winter"


def _counts(folder: Path, queries: list[tuple[int, str]]) -> list[int]:
    with QueryCopies(folder) as copies:
        added = [copies.add(session, query) for session, query in queries]
        assert all(added)
        return [int(count) for count in copies.counts()]


def test_earlier_sessions_with_almost_the_same_query_are_counted(tmp_path: Path) -> None:
    queries = [
        (0, LONG),
        (1, OTHER),
        (2, LONG.upper() + "!"),
        (2, LONG),  # in the same session: the rule "repetitive" is for that
        (3, LONG + ", please"),
        (4, LONG.replace("bicycle", "kettle").replace("green", "red").replace("small", "tall")),
    ]
    assert _counts(tmp_path, queries) == [0, 0, 1, 1, 2, 0]
    assert list(tmp_path.iterdir()) == []


def test_short_queries_are_common_property(tmp_path: Path) -> None:
    with QueryCopies(tmp_path) as copies:
        assert not copies.add(0, "Can you give me an example?")
        assert copies.counts().size == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), names=st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_exact_copies_are_counted_exactly(
    tmp_path_factory: pytest.TempPathFactory, seed: int, names: list[int]
) -> None:
    rng = random.Random(seed)
    texts = [
        " ".join(rng.choice("abcdefghijklmnopqrstuvwxyz") * 3 for _ in range(LEAST_TOKENS + 8))
        for _ in range(6)
    ]
    expected = [
        len({n for n, name in enumerate(names[:at]) if name == names[at]})
        for at in range(len(names))
    ]
    queries = [(number, texts[name]) for number, name in enumerate(names)]
    assert _counts(tmp_path_factory.mktemp("copies"), queries) == expected
