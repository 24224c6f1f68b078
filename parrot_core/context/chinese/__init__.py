"""The Chinese rules; the kinds are those of English."""

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
from parrot_core.context.rule import ContextRule

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
