"""Which queries depend on their context: cheap rules, one file a rule (paper §3.3, stage 4).

A rule sees the user's own words of one query and nothing of the history. Adding one touches its
file, its test and its line in :data:`RULES`.
"""

import re

from parrot_core.capo.context_rules.chinese import CHINESE
from parrot_core.capo.context_rules.comparative import COMPARATIVE
from parrot_core.capo.context_rules.continuation import CONTINUATION
from parrot_core.capo.context_rules.definite import DEFINITE
from parrot_core.capo.context_rules.demonstrative import DEMONSTRATIVE
from parrot_core.capo.context_rules.discourse import DISCOURSE
from parrot_core.capo.context_rules.edit import EDIT
from parrot_core.capo.context_rules.ellipsis import ELLIPSIS
from parrot_core.capo.context_rules.pronoun import PRONOUN
from parrot_core.capo.context_rules.query import Query
from parrot_core.capo.context_rules.rule import Cue, Rule

__all__ = ["RULES", "Cue", "Rule", "find_cue", "rules_language"]

RULES: dict[str, tuple[Rule, ...]] = {
    "en": (
        CONTINUATION,
        PRONOUN,
        DEMONSTRATIVE,
        DISCOURSE,
        DEFINITE,
        ELLIPSIS,
        COMPARATIVE,
        EDIT,
    ),
    "zh": CHINESE,
}
"""The rules of each language, in the order in which they are asked."""

_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_SHARE = 0.2


def rules_language(query: str, language: str | None) -> str | None:
    """Return the language whose rules read this query, or None where we have none.

    Args:
        query: the user's text; a Chinese query in an English session gets the Chinese rules.
        language: the session's ISO 639-1 code; None is taken for English.
    """
    if _KANA_OR_HANGUL.search(query):
        return None
    if len(_HAN.findall(query)) > _HAN_SHARE * len(query):
        return "zh"
    code = (language or "en").split("-")[0].lower()
    return code if code in RULES else None


def find_cue(query: str, language: str | None) -> Cue | None:
    """Return the first sign that a query leans on the conversation, or None.

    Args:
        query: the user's text.
        language: the session's ISO 639-1 code; None is taken for English.
    """
    spoken = rules_language(query, language)
    if spoken is None:
        return None
    read = Query(query)
    for rule in RULES[spoken]:
        span = rule.find(read)
        if span is not None:
            return Cue(rule.name, span)
    return None
