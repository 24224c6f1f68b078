"""Sentence fragments: *in python*, *20 characters*, *flowers?*, *no hashtags*."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import Rule

_PREPOSITION_WORDS = 7
_BARE_WORDS = 2
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
_PARTIAL = re.compile(
    r"(?:no|only|just|something|anything|someone|somewhere|nothing|none|\d+) "
    r"[\w' -]{2,40}\W*\Z",
    re.IGNORECASE,
)
_BARE = re.compile(r"[\w'’.-]+(?: [\w'’.-]+)?\s*[?.!]*\s*\Z")
_GREETING = re.compile(
    r"(?:hi|hello|hey|thanks?|thank|thx|bye|goodbye|good|welcome|ok(?:ay)?|please|test|testing)\b",
    re.IGNORECASE,
)


def _find(query: Query) -> tuple[int, int] | None:
    if query.brings_material or query.words > _PREPOSITION_WORDS:
        return None
    found = _PREPOSITION.match(query.head, query.start)
    if found and not _VERB.search(query.head, found.end()):
        return found.span()
    partial = _PARTIAL.match(query.head, query.start)
    if partial and not _VERB.search(query.head, query.start):
        return partial.span()
    bare = _BARE.match(query.head, query.start)
    if bare and query.words <= _BARE_WORDS and not _GREETING.match(query.head.strip()):
        return bare.span()
    return None


FRAGMENT = Rule("fragment", _find)
