"""Ellipsis: a query that leaves out what the conversation has already said."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import Rule

_FRAGMENT_WORDS = 7
_OPENING = re.compile(
    r"(?:and|or|but|also|plus|then|so(?! i (?:want|have|need|am)\b)|now|instead|otherwise"
    r"|besides|rather|except|because|not)\b"
    r"(?!-)|(?:what|how) about\b|what if\b|why(?: not| so| is that)?\s*(?:[?!.]|$)"
    r"|how (?:so|come)\b|(?:where|when|who|how|which|what)\s*(?:[?!.]|$)|which one\b"
    r"|(?:any|what|which) others?\b|same\b|too\b|still\b|only\b|even\b",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"(?:in|for|with|without|from|to|by|at|on|as|using|like|than|about|under|after|before|between"
    r"|during|into|through|via)\b",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|do|does|did|can|could|should|would|will|write|give|list|explain|create"
    r"|make|generate|provide|tell|show|find|describe|how|what|why|who|when|where)\b",
    re.IGNORECASE,
)


def _find(query: Query) -> tuple[int, int] | None:
    opening = _OPENING.match(query.head, query.start)
    if opening and not query.brings_material:
        return opening.span()
    if query.brings_material or query.words > _FRAGMENT_WORDS:
        return None
    found = _PREPOSITION.match(query.head, query.start)
    if found and not _VERB.search(query.head, found.end()):
        return found.span()
    return None


ELLIPSIS = Rule("ellipsis", _find)
