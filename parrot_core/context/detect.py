"""The verdict on one query: does it lean on the conversation, and by which cues."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parrot_core.context import chinese, english
from parrot_core.context.query import Query
from parrot_core.context.rule import Cue
from parrot_core.engines.types import Message

_DETECTORS: dict[str, Callable[[Query], tuple[Cue, ...]]] = {
    "en": english.find_cues,
    "zh": chinese.find_cues,
}
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Dependence:
    """What is found in one query.

    Attributes:
        language: the language that the query is read in (``en``, ``zh``); None if in none.
        cues: the signs found, at most one of a kind, the surest kind first.
    """

    language: str | None
    cues: tuple[Cue, ...]

    @property
    def depends(self) -> bool | None:
        """Whether the query can't be understood alone; None where its language isn't read."""
        return None if self.language is None else bool(self.cues)


def detect(query: str, history: Sequence[Message] = (), language: str | None = None) -> Dependence:
    """Say whether a query depends on its conversation.

    Args:
        query: the user's text. A Chinese query in an English session is read as Chinese.
        history: the messages before it, oldest first. What *the table*, *14, not 13* or 回到乙管
            may point at is looked up in it; without it the query's own words decide. An opening
            query that is found to depend leans on something that nobody has seen.
        language: the session's ISO 639-1 code; None is taken for English.
    """
    spoken = detector_language(query, language)
    if spoken is None:
        return Dependence(None, ())
    read = Query(query, tuple(message["content"] for message in history))
    return Dependence(spoken, _DETECTORS[spoken](read))


def detector_language(query: str, language: str | None) -> str | None:
    """Return the language that this query is read in, or None where we read it in none.

    Args:
        language: the session's ISO 639-1 code; None is taken for English.
    """
    if _KANA_OR_HANGUL.search(query):
        return None
    if len(_HAN.findall(query)) > _HAN_SHARE * len(query):
        return "zh"
    code = (language or "en").split("-")[0].lower()
    return code if code in _DETECTORS else None
