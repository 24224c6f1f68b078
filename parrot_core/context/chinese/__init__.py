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
from parrot_core.context.chinese.small_talk import find_small_talk, repeats_what_was_said
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
    """The cues of a query, at most one of a kind, the surest kind first.

    A fragment that names again what was said is whole; a message of small talk that names nothing
    of it is not.
    """
    found = ((rule.kind, rule.find(query)) for rule in CHINESE)
    cues = tuple(Cue(kind, span) for kind, span in found if span)
    if any(cue.kind != "fragment" for cue in cues):
        return cues
    if repeats_what_was_said(query):
        return ()
    left_out = find_small_talk(query)
    return cues or ((Cue("ellipsis", left_out),) if left_out else ())
