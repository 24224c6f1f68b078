"""The verdict of the rules on one query: does it lean on the conversation, and by which cues."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from parrot_core.context.chinese import CHINESE
from parrot_core.context.english import ENGLISH
from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule, Cue
from parrot_core.engines.types import Message

_RULES: dict[str, tuple[ContextRule, ...]] = {"en": ENGLISH, "zh": CHINESE}
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Dependence:
    """What the rules say about one query.

    Attributes:
        language: the language whose rules read the query (``en``, ``zh``); None if it has none.
        cues: the signs found, at most one of a kind, the surest kind first.
    """

    language: str | None
    cues: tuple[Cue, ...]

    @property
    def depends(self) -> bool | None:
        """Whether the query can't be understood alone; None where no rules read its language."""
        return None if self.language is None else bool(self.cues)


def detect(query: str, history: Sequence[Message] = (), language: str | None = None) -> Dependence:
    """Say whether a query depends on its conversation.

    Args:
        query: the user's text. A Chinese query in an English session gets the Chinese rules.
        history: the messages before it, oldest first. What *the table*, *14, not 13* or 回到乙管
            may point at is looked up in it; without it the query's own words decide, so an
            opening query needs no call: it depends on nothing.
        language: the session's ISO 639-1 code; None is taken for English.
    """
    spoken = rules_language(query, language)
    if spoken is None:
        return Dependence(None, ())
    read = Query(query, tuple(message["content"] for message in history))
    found = ((rule.kind, rule.find(read)) for rule in _RULES[spoken])
    return Dependence(spoken, tuple(Cue(kind, span) for kind, span in found if span))


def rules_language(query: str, language: str | None) -> str | None:
    """Return the language whose rules read this query, or None where we have none.

    Args:
        query: the user's text.
        language: the session's ISO 639-1 code; None is taken for English.
    """
    if _KANA_OR_HANGUL.search(query):
        return None
    if len(_HAN.findall(query)) > _HAN_SHARE * len(query):
        return "zh"
    code = (language or "en").split("-")[0].lower()
    return code if code in _RULES else None
