"""What a preference pair must be before anything is trained on it."""

import re
import unicodedata

from parrot_core.text.refusals import refuses

_HAN = r"\u3400-\u9fff"
_WORD = re.compile(rf"[{_HAN}]|[^\W{_HAN}]+")


def chosen_problem(chosen: str) -> str | None:
    """Return ``chosen_unusable`` if an answer is empty or refuses, else None."""
    return "chosen_unusable" if not chosen.strip() or refuses(chosen) else None


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
