"""Fit conversations into a sequence: cut at turns, never inside one, and count what was cut."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from parrot_core.engines.types import Message


class TrainingMessage(Message, total=False):
    """A message of an example, and what the chat template has to know of it."""

    learn: bool  # false: it carries no loss
    cut: bool  # a limit stopped its writer, so that its end is none


M = TypeVar("M", bound=Message)
Length = Callable[[Sequence[Message]], int]
"""Tokens of a rendered conversation; grows with every message."""


@dataclass(slots=True)
class Tally:
    """What became of the examples of one file."""

    used: int = 0
    sequences: int = 0  # that they became: a long session is several
    clipped: int = 0  # of those used: examples that lost whole turns
    turns: int = 0  # to be learned, of those used
    turns_cut: int = 0  # of these: lost, for they fit in no sequence
    messages_cut: int = 0  # learned without an end: a limit had stopped their writer
    dropped: Counter[str] = field(default_factory=Counter)  # by reason

    def as_json(self) -> dict[str, Any]:
        return {
            "used": self.used,
            "sequences": self.sequences,
            "turns": self.turns,
            "messages_cut": self.messages_cut,
            "clipped": self.clipped,
            "turns_cut": self.turns_cut,
            "dropped": dict(sorted(self.dropped.items())),
        }


def fit_session(
    messages: Sequence[TrainingMessage],
    learned: str,
    length: Length,
    max_length: int,
    *,
    skip_first: bool = False,
    windows: bool = True,
) -> tuple[list[list[TrainingMessage]], int]:
    """Fit a session into sequences; each of its learned turns carries the loss in one of them.

    The first sequence is the longest beginning that fits and ends in a learned turn: what follows
    carries no loss and would only cost time. Each further one is a window that begins at a user
    turn. It takes on the next turns as long as they leave half of the room to what came before
    them, then begins as early as fits. A system message stays in front.

    Args:
        skip_first: whether the first message of that role carries no loss.

    Returns:
        The sequences (messages with ``learn: false`` carry no loss), and how many turns to be
        learned fit in none.
    """
    system = [message for message in messages[:1] if message["role"] == "system"]
    starts = [i for i, message in enumerate(messages) if message["role"] == "user"]
    ends = [i + 1 for i, message in enumerate(messages) if message["role"] == learned]
    unlearned = set(ends[:1]) if skip_first else set[int]()
    left = [end for end in ends if end not in unlearned]
    found: list[list[TrainingMessage]] = []
    first = _fitting(left, max_length, lambda end: length(messages[:end]))
    if first:
        end = left[first - 1]
        found.append([_shown(messages[i], i + 1 not in unlearned) for i in range(end)])
        left = left[first:]
    lost = 0 if windows else len(left)
    left = left if windows else []
    while left:
        own = starts[max(bisect_left(starts, left[0]) - 1, 0)] if starts else 0

        def needed(end: int, start: int = own) -> int:
            return length([*system, *messages[start:end]])

        fresh = max(_fitting(left, max_length // 2, needed), 1)
        end = left[fresh - 1]
        earlier = [s for s in starts if s <= own][::-1]
        fitting = _fitting(earlier, max_length, partial(needed, end))
        # A follow-up without a history would be taught as an opening query.
        if not fitting or (learned == "user" and earlier[fitting - 1] == left[0] - 1):
            lost += 1
            left = left[1:]
            continue
        new = set(left[:fresh])
        found.append(
            [*system]
            + [_shown(messages[i], i + 1 in new) for i in range(earlier[fitting - 1], end)]
        )
        left = left[fresh:]
    return found, lost


def _fitting(places: Sequence[int], most: int, size: Callable[[int], int]) -> int:
    """How many of the places, whose sizes grow, are within ``most``.

    It looks at few places beyond: the size of a far one, in a long session, is dear.
    """
    high = 1
    while high < len(places) and size(places[high - 1]) <= most:
        high *= 2
    return bisect_right(places, most, hi=min(high, len(places)), key=size)


def _shown(message: TrainingMessage, learn: bool) -> TrainingMessage:
    return message if learn else {**message, "learn": False}


def fit_pair(
    prompt: Sequence[M],
    answers: Iterable[Sequence[M]],
    length: Length,
    max_length: int,
) -> tuple[list[M], int]:
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
