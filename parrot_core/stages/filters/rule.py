"""What a filter rule is, and the turn that it looks at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from parrot_core.engines.types import Message
from parrot_core.recipe import Filter


@dataclass(slots=True)
class Heard:
    """What was worked out of a session's turns so far, so that no text is taken apart again.

    Attributes:
        queries: the words of each query.
        words: the words with content of all of them.
        newness: of each turn, the share of its own words that no turn before it had.
    """

    queries: list[list[str]] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    newness: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a dialogue, as the rules see it.

    Attributes:
        query: the user's text.
        earlier: the conversation before it, oldest message first; empty for an opening query.
        response: the answer to it; None where there is none yet, as for a seed.
        copies: in how many sessions before this one almost the same query was asked.
        heard: shared by all turns of a session that are checked in order.
    """

    query: str
    earlier: Sequence[Message] = ()
    response: str | None = None
    copies: int = 0
    heard: Heard = field(default_factory=Heard)


@dataclass(frozen=True, slots=True)
class FilterRule:
    """One reason to throw a turn out; its file's name is its name in recipes and rejects.

    Attributes:
        reason: what it refuses, in a few words: for the list of reasons.
        check: what is wrong with a turn under the recipe's ``filter`` part, in a few words; None
            when the turn passes.
    """

    reason: str
    check: Callable[[Turn, Filter], str | None]
