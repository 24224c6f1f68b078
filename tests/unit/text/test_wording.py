"""Figures in a reader's words."""

import pytest

from parrot_core.text import wording


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.42, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (142.7, "2 min 23 s"),
        (7_260, "2 h 01 min"),
        (200_000, "2 d 7 h"),
        (None, "-"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert wording.duration(seconds) == words


def test_plurals() -> None:
    assert [wording.plural(n, "query") for n in (0, 1, 2000)] == [
        *("0 queries", "1 query", "2,000 queries")
    ]


def test_dollars_and_rates_keep_small_amounts_visible() -> None:
    assert wording.dollars(0.0123) == "$0.0123"
    assert wording.dollars(1234.5) == "$1,234.50"
    assert wording.rate(0.05, "session") == "3.0 sessions/min"
    assert wording.rate(None, "session") == ""
