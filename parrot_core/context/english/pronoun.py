"""Anaphora: a personal pronoun that nothing earlier in the query can stand for."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import Rule

_PRONOUN = re.compile(
    r"\b(?:it|its|it's|they|them|their|theirs|themselves|he|him|his|she|her|hers)\b", re.IGNORECASE
)
_EASE = (
    r"(?:possible|ok|okay|true|safe|legal|illegal|worth|normal|better|best|good|bad|necessary"
    r"|hard|easy|easier|difficult|important|common|likely|clear|wrong|right|fine|time)"
)
_PLEONASTIC = re.compile(
    rf"\bis(?:n't|nt)? it (?:\w+ )?{_EASE}\b"
    rf"|\bit(?:'s| is| was| would be| will be| might be) (?:not |very |more |also )?{_EASE}\b"
    r"(?=.*\b(?:to|that|for|if|when)\b)"
    r"|\b(?:does|did|will|would|do) it take\b|\bit takes?\b|\bit (?:seems|appears|turns out)\b"
    r"|\bwhat time is it\b|\bwhat is it like to\b|\bhow is it that\b|\bit (?:rains?|snows?)\b"
    r"|\bits? (?:raining|snowing)\b",
    re.IGNORECASE,
)
_AND_ITS = re.compile(r"(?:[\w-]+ ){3,}and (?:its|their|his|her)\Z", re.IGNORECASE)


def _find(query: Query) -> tuple[int, int] | None:
    idle = [found.span() for found in _PLEONASTIC.finditer(query.head)]
    for found in _PRONOUN.finditer(query.head, query.start):
        if any(start <= found.start() < end for start, end in idle):
            continue
        if _AND_ITS.search(query.head, query.start, found.end()):
            continue
        if found.group() == "IT" or (query.brings_material and query.words > 4):
            continue
        if not query.bound(found.start()):
            return found.span()
    return None


PRONOUN = Rule("pronoun", _find)
