"""Sentence fragments: *in python*, *20 characters*, *flowers?*, *no hashtags*."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule

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
_FINITE = re.compile(
    _VERB.pattern
    + r"|\b(?:am|be|been|being|has|have|had|may|might|must|shall|need|want|know|think|like"
    r"|feel|use|go|get|gets|got|give|add|put|let|say|says|said|mean|means|\w+n['’]t"
    r"|\w+['’](?:re|ve|ll|d|m)|it['’]?s|that['’]?s|which|if)\b",
    re.IGNORECASE,
)
_NEW_THING = re.compile(
    r"(?:(?:and|or|but|maybe|perhaps|just|also|fair|fine|so)[,.]? )*(?:an?|another|one|two|three"
    r"|four|five|some|something|someone|anything|anyone|any|my|your|same|final|best|as) ",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r" (?:that|which|who|whose|where|when)\b", re.IGNORECASE)
_WANTED = re.compile(r"\?|(?:,? please|,? then|,? maybe|,? perhaps)\s*[.!]?\s*\Z", re.IGNORECASE)
_NEW_THING_WORDS = 14
_REPLY_WORDS = 3
_BARE = re.compile(r"[\w'’.-]+(?: [\w'’.-]+)?\s*[?.!]*\s*\Z")
_GREETING = re.compile(
    r"(?:hi|hello|hey|thanks?|thank|thx|bye|goodbye|good|welcome|ok(?:ay)?|please|test|testing)\b",
    re.IGNORECASE,
)


def _find(query: Query) -> tuple[int, int] | None:
    if query.brings_material:
        return None
    wanted = _wanted(query)
    if wanted or query.words > _PREPOSITION_WORDS:
        return wanted
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


def _wanted(query: Query) -> tuple[int, int] | None:
    """*A version as a haiku?*, *My inventory, please*: a thing asked for without a verb."""
    for start, end in query.sentences[:2]:
        sentence = query.head[start:end]
        if len(query.head[query.start : start].split()) > _REPLY_WORDS:
            return None
        opening = _NEW_THING.match(sentence)
        if opening is None or len(sentence.split()) > _NEW_THING_WORDS:
            continue
        relative = _RELATIVE.search(sentence)
        own = sentence[: relative.start()] if relative else sentence
        if _WANTED.search(sentence) and not _FINITE.search(own):
            return start, start + opening.end()
    return None


FRAGMENT = ContextRule("fragment", _find)
