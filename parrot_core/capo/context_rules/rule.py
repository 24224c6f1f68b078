"""The shape of a context rule and of what it finds."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from parrot_core.capo.context_rules.query import Query


@dataclass(frozen=True, slots=True)
class Cue:
    """A sign that a query leans on the conversation.

    Attributes:
        name: the rule's name, stored with the query.
        span: start and end of the sign in the query, in characters.
    """

    name: str
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Rule:
    """A named test; ``find`` returns the span of the sign, or None."""

    name: str
    find: Callable[[Query], tuple[int, int] | None]


def first_match(pattern: re.Pattern[str], query: Query) -> tuple[int, int] | None:
    """Return the span of the first match in the user's own words, after the courtesy."""
    found = pattern.search(query.head, query.start)
    return found.span() if found else None
