"""Chinese queries: rules, one for each kind of cue."""

from parrot_core.context.chinese.comparative import COMPARATIVE
from parrot_core.context.chinese.correction import CORRECTION
from parrot_core.context.chinese.cues import (
    CONTINUATION,
    DEFINITE,
    DEMONSTRATIVE,
    DISCOURSE,
    EDIT,
    ELLIPSIS,
    FRAGMENT,
    PRONOUN,
)
from parrot_core.context.chinese.returning import RETURN
from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule, Cue

CHINESE: tuple[ContextRule, ...] = (
    CONTINUATION,
    PRONOUN,
    DEMONSTRATIVE,
    DISCOURSE,
    RETURN,
    CORRECTION,
    DEFINITE,
    ELLIPSIS,
    COMPARATIVE,
    EDIT,
    FRAGMENT,
)
"""The order in which cues are reported."""


def find_cues(query: Query) -> tuple[Cue, ...]:
    """The cues of a query, at most one of a kind, the surest kind first."""
    found = ((rule.kind, rule.find(query)) for rule in CHINESE)
    return tuple(Cue(kind, span) for kind, span in found if span)
