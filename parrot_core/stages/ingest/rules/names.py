"""Hides people's names in the excerpts that reports show; the data itself isn't changed by it.

No list of names and no model is good enough to mask data by: it would miss most names and hit
cities and products. In an excerpt a word too many does no harm, so whatever may be a name goes:
capitalised words in a row, and the word behind a greeting, a title or "my name is".
"""

import re

_WORD = r"(?:[A-Z][a-zÀ-ɏ'’-]+|[A-ZÀ-Þ][a-zß-ÿ]+)"
_IN_A_ROW = re.compile(rf"\b{_WORD}(?: (?:[A-Z]\. )?{_WORD})+\b")
_CALLED = re.compile(
    rf"(?P<before>\b(?:[Dd]ear|[Hh]i|[Hh]ello|[Hh]ey|Mr\.?|Mrs\.?|Ms\.?|Dr\.?|Prof\.?"
    rf"|[Mm]y name is|[Nn]amed|I am|I'm|I’m|[Rr]egards,|[Ss]incerely,|@)\s*){_WORD}"
)
_CHINESE = re.compile(r"(?P<before>(?:我叫|我是|名叫|姓名[:：]\s*))[\u4e00-\u9fff]{2,3}")
HIDDEN = "<NAME>"


def hide_names(text: str) -> str:
    """Names, and what looks like one, as a placeholder."""
    text = _IN_A_ROW.sub(HIDDEN, text)
    text = _CALLED.sub(rf"\g<before>{HIDDEN}", text)
    return _CHINESE.sub(rf"\g<before>{HIDDEN}", text)
