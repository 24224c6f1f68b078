"""The shape of a context rule and of what it finds, and the closed list of kinds of cues."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from parrot_core.context.query import Query

Kind = Literal[
    "continuation",
    "pronoun",
    "demonstrative",
    "discourse",
    "return",
    "correction",
    "definite",
    "ellipsis",
    "fragment",
    "comparative",
    "edit",
]
"""How a query leans on the conversation; docs/explanation/context-dependence.md has examples."""

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Cue:
    """A sign that a query leans on the conversation.

    Attributes:
        kind: what sort of sign, stored with the query.
        span: start and end of the sign in the query, in characters.
    """

    kind: Kind
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ContextRule:
    """The test for one kind of cue; ``find`` returns the span of the sign, or None."""

    kind: Kind
    find: Callable[[Query], tuple[int, int] | None]


def first_match(pattern: re.Pattern[str], query: Query) -> tuple[int, int] | None:
    """Return the span of the first match in the user's own words, after the courtesy."""
    found = pattern.search(query.head, query.start)
    return found.span() if found else None
