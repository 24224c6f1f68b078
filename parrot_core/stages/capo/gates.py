"""What a preference pair must be before anything is trained on it."""

import re
import unicodedata
from collections.abc import Iterable

from parrot_core.stages.capo.negatives import content_words
from parrot_core.text.refusals import refuses

_HAN = r"\u3400-\u9fff"
_WORD = re.compile(rf"[{_HAN}]|[^\W{_HAN}]+")
_OPENING_CHARS = 300
_FEWEST_REPEATED = 8  # words; a short answer may well be right twice
_ASKS_BACK = re.compile(
    r"""
      \b(?:could|can|would)\ you\ (?:please\ |kindly\ )?
        (?:clarify|specify|elaborate|explain\ what|tell\ me\ (?:what|which|more)
          |(?:provide|give|share)\ (?:me\ )?(?:with\ )?(?:some\ |a\ bit\ )?
            (?:more|the|additional|further))
    | \bplease\ (?:clarify|specify|(?:provide|give|share)\ (?:me\ )?(?:with\ )?
        (?:some\ |the\ )?(?:more|additional|further|full)\ (?:context|information|details?))
    | \bwhat\ (?:exactly\ )?(?:do|are|did)\ you\ (?:mean|referring|talking|asking)
    | \b(?:which|what)\b[^.?!\n]{0,40}\bare\ you\ (?:referring|talking|asking)
    | \b(?:don't|do\ not|doesn't|lack|without|need|not)\ (?:have\ )?
        (?:enough|any|sufficient|more)\ context
    | \bI\ (?:don't|do\ not)\ have\ (?:any|the|access\ to)\b
    | \b(?:unclear|not\ (?:sure|clear|certain))\ (?:what|which|who)\b[^.\n]{0,30}\byou
    | (?:请|能否|可以|您能|你能)[^。？\n]{0,8}(?:说明|澄清|具体说|提供更多|告诉我.{0,6}(?:哪|什么))
    | (?:您|你)(?:是?指|说)的(?:是)?(?:什么|哪)
    """,
    re.IGNORECASE | re.VERBOSE,
)


_POLITENESS = re.compile(
    r"^(?:(?:great|sure|of course|certainly|absolutely|okay|ok|yes|hello|hi|excellent|wonderful"
    r"|nice|good|awesome|that's|thanks?)\b[^.!?\n]{0,30}[.!]\s+|(?:好的|当然|可以|没问题)[。！，]\s*)+",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])(?!$)|\n+")


def chosen_problem(chosen: str, query: str, earlier: Iterable[str] = ()) -> str:
    """What is wrong with a chosen answer, in words; empty when nothing is.

    Args:
        earlier: the answers before it; one that holds it, word for word, answers nothing anew.
    """
    if not chosen.strip():
        return "the answer in the session is empty"
    if refuses(chosen):
        return "the answer in the session is a refusal"
    if asks_back(chosen):
        return "the answer in the session asks what is meant"
    if normalise(chosen) == normalise(query):
        return "the answer in the session repeats the query"
    said = normalise(chosen)
    if len(said.split()) >= _FEWEST_REPEATED and any(said in normalise(old) for old in earlier):
        return "the answer in the session repeats an earlier one"
    return ""


def asks_back(answer: str) -> bool:
    """Whether an answer asks what was meant instead of answering.

    That is what a good assistant does without the history: no error, and nothing to learn from.
    """
    opening = answer.strip()[:_OPENING_CHARS]
    return bool(_ASKS_BACK.search(opening))


def _only_asks(answer: str) -> bool:
    """Whether nothing but questions is left when a polite beginning is taken off."""
    sentences = _SENTENCE_END.split(_POLITENESS.sub("", answer.strip()))
    return all(sentence.endswith(("?", "？")) for sentence in sentences)


def negative_problem(negative: str, chosen: str) -> str | None:
    """Return why a negative can't stand against the chosen answer, or None.

    ``negative_empty``: nothing was written. ``negative_asks_back``: it asks what was meant, or
    does nothing but ask where the chosen answer answers.
    ``negative_refuses``: it begins with a refusal.
    ``negative_equals_chosen``: after normalisation (case,
    punctuation, spacing, Unicode form) one of them is the other, or contains it word for word.
    """
    if not negative.strip():
        return "negative_empty"
    if asks_back(negative) or (_only_asks(negative) and not _only_asks(chosen)):
        return "negative_asks_back"
    if refuses(negative):
        return "negative_refuses"
    left, right = normalise(negative), normalise(chosen)
    return "negative_equals_chosen" if left in right or right in left else None


def evidence_ignored(negative: str, about: str | None, query: str, chosen: str) -> bool:
    """Whether a negative says what the chosen answer says, and nothing of what misled it.

    A short answer may name neither; then there is no telling.
    """
    if about is None:
        return False
    asked = content_words(query)
    said = content_words(negative) - asked
    return bool(said & content_words(chosen)) and not said & content_words(about)


def normalise(text: str) -> str:
    """Words in lower case between single spaces, so that containment is by whole words.

    A text without any word (an emoji, a formula of signs) is kept as it is.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = _WORD.findall(folded)
    return f" {' '.join(words)} " if words else folded.strip()
