"""Ellipsis: a query that leaves out what the conversation has already said."""

import re

from parrot_core.context.english.objectless import find_objectless
from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule

_OPENING = re.compile(
    r"(?:and|or|but|also|plus|then|so(?! i (?:want|have|need|am)\b)|now|instead|otherwise"
    r"|besides|rather|except|because|not)\b"
    r"(?!-)|what about\b|how about\b(?! (?:\w+ing (?:me )?an? |we\b|i\b))|what if\b"
    r"|why(?: not| so\b.*| is that)?\s*(?:[?!.]|$)"
    r"|how (?:so|come)\b|(?:where|when|who|how|which|what)\s*(?:[?!.]|$)|which one\b"
    r"|(?:where|when|who|how|which|what|like what|at what \w+|in what \w+)(?: (?:exactly|then|now"
    r"|again|next))?\s*(?:[?!.]|$)"
    r"|how (?:long|much|many|often|far|big|old|tall|fast|high|soon|late)(?: \w+)?\s*(?:[?!.]|$)"
    r"|what (?:happens|happened|comes) (?:next|then|after)\b"
    r"|(?:any|what|which) others?\b|same\b|too\b|still\b|only\b|even\b",
    re.IGNORECASE,
)


_BOTH = re.compile(r"\b(?:both|either|neither)(?=\s*(?:[.?!]|\Z))", re.IGNORECASE)

_THEN = re.compile(
    r"(?<!back)(?<!since)(?<!by)(?<!until)(?<!till)(?<!and)(?<!now)(?<!just) then"
    r"(?=\s*(?:[,?!]|\.\s*\Z|\Z))"
    r"|\bhappy now\b|\bwhat now(?=\s*\?)|(?<!time is it)(?<!right) now\?",
    re.IGNORECASE,
)
_IF = re.compile(r"\b(?:if|when|once)\b", re.IGNORECASE)
_SHORT_WORDS = 15


def _find(query: Query) -> tuple[int, int] | None:
    if query.brings_material:
        return None
    opening = _OPENING.match(query.head, query.start)
    if opening:
        return opening.span()
    for start, end in query.sentences:
        short = len(query.head[start:end].split()) <= _SHORT_WORDS
        then = _THEN.search(query.head, start, end) if short else None
        if then and not _IF.search(query.head, query.start, then.start()):
            return then.span()
    both = _BOTH.search(query.head, query.start)
    if both and not query.bound(both.start(), clause_mate=True):
        return both.span()
    return find_objectless(query)


ELLIPSIS = ContextRule("ellipsis", _find)
