"""The English rules, one kind of cue a file. A new one is its file, its test and its line here."""

from parrot_core.context.english.comparative import COMPARATIVE
from parrot_core.context.english.continuation import CONTINUATION
from parrot_core.context.english.correction import CORRECTION
from parrot_core.context.english.definite import DEFINITE
from parrot_core.context.english.demonstrative import DEMONSTRATIVE
from parrot_core.context.english.discourse import DISCOURSE
from parrot_core.context.english.edit import EDIT
from parrot_core.context.english.ellipsis import ELLIPSIS
from parrot_core.context.english.fragment import FRAGMENT
from parrot_core.context.english.pronoun import PRONOUN
from parrot_core.context.english.returning import RETURN
from parrot_core.context.rule import ContextRule

ENGLISH: tuple[ContextRule, ...] = (
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
