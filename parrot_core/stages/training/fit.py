"""Fit conversations into a sequence: cut at turns, never inside one, and count what was cut."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from parrot_core.engines.types import Message

Length = Callable[[Sequence[Message]], int]
"""Tokens of a rendered conversation; grows with every message."""


@dataclass(slots=True)
class Tally:
    """What became of the examples of one file."""

    used: int = 0
    clipped: int = 0  # of those used: examples that lost whole turns
    turns_cut: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # by reason

    def as_json(self) -> dict[str, Any]:
        """The tally as JSON values."""
        return {
            "used": self.used,
            "clipped": self.clipped,
            "turns_cut": self.turns_cut,
            "dropped": dict(sorted(self.dropped.items())),
        }


def longest_prefix(
    messages: Sequence[Message], ends: Sequence[int], length: Length, max_length: int
) -> int:
    """Find how many leading messages fit, among the prefixes that end in ``ends``.

    Args:
        messages: a session.
        ends: ascending numbers of messages after which it may be cut.
        length: counts tokens.
        max_length: the most tokens a sequence may have.

    Returns:
        One of ``ends``, or 0 when not even the shortest fits.
    """
    fitting = bisect_right(ends, max_length, key=lambda end: length(messages[:end]))
    return ends[fitting - 1] if fitting else 0


def fit_session(
    messages: Sequence[Message],
    learned: str,
    length: Length,
    max_length: int,
    *,
    skip_first: bool = False,
) -> tuple[list[Message], int]:
    """Cut a session after the last turn of the learned role that fits.

    What follows the last learned message carries no loss and is left out: it would only cost time.

    Args:
        messages: a session.
        learned: the role that carries the loss.
        length: counts tokens.
        max_length: the most tokens a sequence may have.
        skip_first: whether the first message of that role carries no loss.

    Returns:
        The messages kept (none when nothing learnable fits), and how many learned turns were cut.
    """
    ends = [i + 1 for i, message in enumerate(messages) if message["role"] == learned]
    ends = ends[1:] if skip_first else ends
    end = longest_prefix(messages, ends, length, max_length)
    return list(messages[:end]), sum(1 for e in ends if e > end)


def fit_pair(
    prompt: Sequence[Message],
    answers: Iterable[Sequence[Message]],
    length: Length,
    max_length: int,
) -> tuple[list[Message], int]:
    """Clip a pair's history, oldest turns first; a system message and the final query stay.

    Returns:
        The prompt kept (empty when the final query with an answer alone is too long), and how many
        turns were cut.
    """
    system = [message for message in prompt[:1] if message["role"] == "system"]
    starts = [i for i, message in enumerate(prompt) if message["role"] == "user"]
    longest = max(answers, key=length)
    # From the last start backwards the sequence only grows, which is what bisect needs.
    shortest_first = starts[::-1]
    fitting = bisect_right(
        shortest_first, max_length, key=lambda s: length([*system, *prompt[s:], *longest])
    )
    if not fitting:
        return [], 0
    start = shortest_first[fitting - 1]
    return [*system, *prompt[start:]], starts.index(start)
