"""What a preference pair must be before anything is trained on it."""

import re
import unicodedata

_HAN = r"\u3400-\u9fff"
_WORD = re.compile(rf"[{_HAN}]|[^\W{_HAN}]+")
_REFUSAL = re.compile(
    r"^\W*(?:(?:(?:i'?m|i am|we'?re) (?:very |so |really )?sorry|sorry|(?:i |my )?apologi[sz]e\w*"
    r"|unfortunately|as an? (?:ai|artificial|large|language))\b.{0,160}?)?"
    r"\b(?:i|we) ?(?:can(?:no|')t|can not|am unable to|'m unable to|am not able to|'m not able to"
    r"|won't|will not|don't have the (?:ability|capability)|do not have the (?:ability|capability)"
    r"|don't have (?:access|the capacity))(?: \w+){0,3}? (?:to|assist|help(?! but)|provide|answer"
    r"|fulfil|fulfill|comply|generate|create|discuss|engage|access|process|support|complete"
    r"|continue|write|share|offer)\b",
    re.IGNORECASE | re.DOTALL,
)
_REFUSAL_ZH = re.compile(
    r"^\W*(?:(?:很|非常|十分)?抱歉|对不起|對不起|作为(?:一个|一名)?(?:AI|人工智能|语言模型)).{0,40}"
    r"(?:无法|無法|不能|不可以|没有能力)",
    re.DOTALL,
)


def chosen_problem(chosen: str) -> str | None:
    """Return ``chosen_unusable`` if an answer is empty or refuses, else None."""
    text = unicodedata.normalize("NFKC", chosen).replace("’", "'").strip()
    refuses = _REFUSAL.match(text) or _REFUSAL_ZH.match(text)
    return "chosen_unusable" if not text or refuses else None


def negative_problem(negative: str, chosen: str) -> str | None:
    """Return why a negative can't stand against the chosen answer, or None.

    ``negative_empty``: nothing was written. ``negative_equals_chosen``: after normalisation (case,
    punctuation, spacing, Unicode form) one of them is the other, or contains it word for word.
    """
    if not negative.strip():
        return "negative_empty"
    left, right = normalise(negative), normalise(chosen)
    return "negative_equals_chosen" if left in right or right in left else None


def normalise(text: str) -> str:
    """Words in lower case between single spaces, so that containment is by whole words.

    A text without any word (an emoji, a formula of signs) is kept as it is.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = _WORD.findall(folded)
    return f" {' '.join(words)} " if words else folded.strip()
