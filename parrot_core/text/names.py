"""Hides people's names in the excerpts that reports show; the data itself isn't changed by it.

No list of names and no model is good enough to mask data by: it would miss most names and hit
cities and products. In an excerpt a word too many does no harm, so whatever may be a name goes:
capitalised words in a row, and the word behind a greeting, a title or "my name is".
"""

import re

_WORD = re.compile(r"(?<![^\W_])[^\W\d_]+(?:['’-][^\W\d_]+)*")
_BETWEEN = re.compile(r" (?:[A-Z]\. )*")
_GREETINGS = frozenset(
    ("Dear", "Hi", "Hello", "Hey", "I'm", "I’m", "Mr", "Mrs", "Ms", "Dr", "Prof")
)
_CALLED = re.compile(
    r"(?:\b(?:[Dd]ear|[Hh]i|[Hh]ello|[Hh]ey|M(?:rs?|s)\.?|Dr\.?|Prof\.?|[Mm]y name is|[Nn]amed"
    r"|I am|I['’]m|[Rr]egards,|[Ss]incerely,)|@)\s*$"
)
_LONGEST_BEFORE = 20
_CHINESE = re.compile(r"(?P<before>(?:我叫|我是|名叫|姓名[:：]\s*))[\u4e00-\u9fff]{2,3}")
HIDDEN = "<NAME>"


def hide_names(text: str) -> str:
    """Names, and what looks like one, as a placeholder."""
    shown: list[str] = []
    end = 0
    for first, last in _names(text):
        shown += [text[end:first], HIDDEN]
        end = last
    return _CHINESE.sub(rf"\g<before>{HIDDEN}", "".join([*shown, text[end:]]))


def _names(text: str) -> list[tuple[int, int]]:
    """Where runs of capitalised words are that may be a name, by start and end."""
    found: list[tuple[int, int]] = []
    run: list[re.Match[str]] = []
    for word in [*_WORD.finditer(text), None]:
        if word is not None and (not word[0][0].isupper() or word[0].isupper()):
            continue  # in small letters, or an initial or abbreviation
        if run and word and _BETWEEN.fullmatch(text, run[-1].end(), word.start()):
            run.append(word)
            continue
        if run and run[0][0] in _GREETINGS:
            del run[0]
        if run:
            start = run[0].start()
            before = text[max(0, start - _LONGEST_BEFORE) : start]
            if len(run) > 1 or _CALLED.search(before):
                found.append((start, run[-1].end()))
        run = [word] if word else []
    return found
