"""What a reader looks for: words that must all occur, phrases in quotes, regular expressions."""

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from parrot_core.errors import UserError

_TERM = re.compile(r'(?<!\S)/((?:[^/\\]|\\.)+)/(?!\S)|"([^"]+)"|(\S+)')
LONGEST = 500


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that must occur, whatever its case."""

    text: str
    regex: bool = False

    def mask(self, texts: pa.Array) -> pa.Array:
        if self.regex:
            return pc.match_substring_regex(texts, self.text, ignore_case=True)
        return pc.match_substring(texts, self.text, ignore_case=True)


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """All terms must occur in a row, each somewhere in its texts."""

    terms: tuple[Term, ...]

    def spans(self, text: str, most: int = 200) -> list[tuple[int, int]]:
        """Where the terms occur in a text, in order, none within another."""
        found: list[tuple[int, int]] = []
        for term in self.terms:
            pattern = term.text if term.regex else re.escape(term.text)
            try:
                hits = re.finditer(pattern, text, re.IGNORECASE)
                found += [hit.span() for _, hit in zip(range(most), hits, strict=False)]
            except re.error:  # RE2 knows patterns that Python doesn't
                continue
        apart: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if end > start and (not apart or start >= apart[-1][1]):
                apart.append((start, end))
        return apart[:most]


def parse_query(text: str) -> SearchQuery:
    """Read what was typed: ``night train "by bus" /h(our|r)s?/``.

    Raises:
        UserError: a regular expression that can't be understood, or too long a text.
    """
    if len(text) > LONGEST:
        raise UserError(f"search: more than {LONGEST} characters")
    terms = []
    for regex, phrase, word in _TERM.findall(text):
        if regex:
            _check(regex)
            terms.append(Term(regex, regex=True))
        else:
            terms.append(Term(phrase or word))
    return SearchQuery(tuple(dict.fromkeys(terms)))


def _check(regex: str) -> None:
    try:
        pc.match_substring_regex(pa.array([""]), regex)
    except pa.ArrowInvalid as error:
        raise UserError(f"search: /{regex}/ is no regular expression: {error}") from None
