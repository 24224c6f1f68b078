"""Anaphora: a personal pronoun that nothing earlier in the query can stand for."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule

_PRONOUN = re.compile(
    r"\b(?:it|its|it's|they|them|their|theirs|themselves|he|him|his|she|her|hers)\b", re.IGNORECASE
)
_POSSESSIVE = frozenset({"its", "their", "theirs", "his", "her", "hers", "themselves"})
_PLURAL = frozenset({"they", "them", "their", "theirs", "themselves"})
_EASE = (
    r"(?:possible|impossible|ok|okay|true|safe|legal|illegal|worth|normal|better|best|good|bad"
    r"|necessary|hard|easy|easier|difficult|important|common|likely|clear|wrong|right|fine|time"
    r"|rude|polite|cheaper|healthy|allowed|enough)"
)
_PLEONASTIC = re.compile(
    rf"\bis(?:n't|nt)? it (?:\w+ )?{_EASE}\b(?=.*\b(?:to|that|for|if|when|in|on)\b)"
    rf"|\bit(?:'s| is| was| would be| will be| might be) (?:not |very |more |also )?{_EASE}\b"
    r"(?=.*\b(?:to|that|for|if|when)\b)"
    r"|\b(?:does|did|will|would|do) it take\b(?=.*\b(?:to|for)\b)|\bit takes?\b(?=.*\bto\b)"
    r"|\bit (?:seems|appears|turns out|rains?|snows?|looks like|feels like)\b"
    r"|\bit (?:\w+ )?(?:rains?|snows?)\b|\bdoes it (?:rain|snow)\b|\bis it (?:raining|snowing)\b"
    r"|\bit is (?:noon|midnight|\d)|\bwhat time is it\b"
    r"|\bhow (?:far|late|hot|cold) is it\b(?= \w+ \w)"
    r"|\bwhat is it like to\b|\bhow is it that\b|\bits? (?:raining|snowing)\b"
    r"|\bwhat does it take to\b|\bwould it (?:mean|be like) (?:for|to|if)\b"
    r"|\bdoes it mean (?:to|when|if|that)\b",
    re.IGNORECASE,
)
_AND_ITS = re.compile(r"(?:[\w-]+ ){3,}and (?:its|their|his|her)\Z", re.IGNORECASE)
_NOT_A_PRONOUN = re.compile(
    r"\bIT\b|\bhe/she\b|\bshe/her\b|\bthey/them\b|\bit (?:department|support)\b"
)


def _find(query: Query) -> tuple[int, int] | None:
    if query.brings_material and query.words > 4:
        return None
    idle = [found.span() for found in _PLEONASTIC.finditer(query.head)]
    idle += [found.span() for found in _NOT_A_PRONOUN.finditer(query.head)]
    for found in _PRONOUN.finditer(query.head, query.start):
        if any(start <= found.start() < end for start, end in idle):
            continue
        if query.quoted(found.start()) or _AND_ITS.search(query.head, query.start, found.end()):
            continue
        word = found.group().lower()
        plural, possessive = word in _PLURAL, word in _POSSESSIVE
        if not query.bound(found.start(), plural=plural, clause_mate=possessive):
            return found.span()
    return None


PRONOUN = ContextRule("pronoun", _find)
