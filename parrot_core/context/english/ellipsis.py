"""Ellipsis: a query that leaves out what the conversation has already said."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import Rule

_OPENING = re.compile(
    r"(?:and|or|but|also|plus|then|so(?! i (?:want|have|need|am)\b)|now|instead|otherwise"
    r"|besides|rather|except|because|not)\b"
    r"(?!-)|what about\b|how about\b(?! \w+ing (?:me )?an? )|what if\b"
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


def _find(query: Query) -> tuple[int, int] | None:
    if query.brings_material:
        return None
    opening = _OPENING.match(query.head, query.start)
    if opening:
        return opening.span()
    both = _BOTH.search(query.head, query.start)
    return both.span() if both and not query.bound(both.start(), clause_mate=True) else None


ELLIPSIS = Rule("ellipsis", _find)
