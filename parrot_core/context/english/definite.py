"""Definite references to something the conversation brought up: *the second one*, *the table*.

*The* with a noun leans on the conversation where the noun was said in its last messages, or names a
part of a text (*the plot*), unless the query itself says which one: *the capital of Italy*.
"""

import re

from parrot_core.context.query import Query, singular
from parrot_core.context.rule import Rule, first_match

_LONG_WORDS = 30
_LONGEST_WORDS = 15
"""Longer queries mostly say which table they mean."""

_ORDINAL = r"(?:first|second|third|fourth|fifth|last|final|next|other|\d+(?:st|nd|rd|th))"
_PARTS = (
    r"(?:one|ones|two|three|option|point|item|step|part|paragraph|sentence|example|question|answer"
    r"|section|line|suggestion|idea|column|row|choice|method|approach|chapter|scene|verse|slide"
    r"|bullet|topic|statement|stanza|problem|solution|version)s?"
)
_REFERENCE = re.compile(
    rf"\bthe (?!first steps)(?:\w+ )?{_ORDINAL} {_PARTS}\b(?! (?:in|to|for|of) (?:\w+ing|an?)\b)"
    rf"|\bthe {_ORDINAL} ones?\b"
    r"|\bthe (?:former|latter|rest|remaining|others)\b"
    r"|\bthe other(?:s)?(?=\s*[.?!,;]|\s*$)|\bthe same\b|\b(?:which|this|that|another|each) one\b"
    r"|\b(?:both|either|neither|all|some|any|each|most|one) of (?:them|these|those)\b"
    r"|\bthe (?:two|three|four|five|six|seven|eight|nine|ten|\d{1,2}) (?!of\b)[a-z]+s\b"
    r"(?! (?:of|that|which|for)\b)|\bwhich of (?:them|these|those|the)\b"
    r"|\b(?:step|point|option|item|number|question|part|section|paragraph|slide|example|scene"
    r"|bullet|topic)s? ?#?(?:\d+|one|two|three|four|five)\b(?!\s*:)"
    r"|\b(?:the|take|choose|use|prefer|like) (?:first|second|third|last)(?= then|\s*(?:[.?!,]|$))",
    re.IGNORECASE,
)
_ARTEFACT = (
    r"(?:answers?|article|app|blog|chapter|characters?|chart|code|content|conclusion"
    r"|conversation|descriptions?|diagram|dialogue|email|ending|error|essay|examples?|explanation"
    r"|functions?|headings?|headline|introduction|joke|letter|lines?|list|lyrics|message|moral"
    r"|names?|outline|output|paragraphs?|plan|plot|poem|post|prompt|questions?|quiz|recipe"
    r"|references?|response|results?|return value|scene|script|sentences?|song|sources?|speech"
    r"|story|summary|syllabus|table|text|title|tone|topics?|tweet|values?|variables?|words?)"
)
_SAYS_WHICH = (
    r"(?! (?:of|for|that|which|who|whose|where|when|with|below|about|behind|between|on|by|in|at"
    r"|from|to|called|named|used|needed|required|after|before|during)\b)(?!['’]s?\b|\()"
)
_ARTEFACT_NAMED = re.compile(rf"\b(?:the|our) (?:\w+ )?{_ARTEFACT}\b{_SAYS_WHICH}", re.IGNORECASE)
_THE = re.compile(
    r"\b(?:the|each|both|our) (?P<first>[a-z]{3,})(?: (?P<second>[a-z]{3,}))?\b(?!-)", re.IGNORECASE
)
_FOLLOWS = re.compile(_SAYS_WHICH, re.IGNORECASE)
_NOT_A_NOUN = frozenset(
    [
        "above",
        "actual",
        "amount",
        "average",
        "best",
        "better",
        "big",
        "biggest",
        "body",
        "city",
        "common",
        "complete",
        "correct",
        "country",
        "current",
        "day",
        "days",
        "difference",
        "differences",
        "different",
        "easiest",
        "economy",
        "entire",
        "environment",
        "evening",
        "exact",
        "fact",
        "fastest",
        "first",
        "following",
        "full",
        "future",
        "general",
        "good",
        "great",
        "greatest",
        "government",
        "highest",
        "history",
        "idea",
        "importance",
        "important",
        "internet",
        "largest",
        "last",
        "latest",
        "least",
        "left",
        "list",
        "longest",
        "main",
        "major",
        "market",
        "media",
        "mind",
        "moment",
        "moon",
        "more",
        "morning",
        "most",
        "name",
        "new",
        "next",
        "night",
        "nine",
        "number",
        "ocean",
        "old",
        "one",
        "only",
        "other",
        "past",
        "people",
        "person",
        "planet",
        "population",
        "president",
        "press",
        "problem",
        "process",
        "public",
        "purpose",
        "reason",
        "right",
        "role",
        "rules",
        "same",
        "sea",
        "second",
        "sky",
        "state",
        "steps",
        "sun",
        "system",
        "term",
        "third",
        "time",
        "top",
        "total",
        "type",
        "types",
        "united",
        "universe",
        "use",
        "usual",
        "war",
        "way",
        "weather",
        "web",
        "week",
        "word",
        "words",
        "world",
        "worst",
        "year",
        "years",
    ]
)
_LABEL = re.compile(
    r"\b(?:day|week|month|level|phase|round|task|figure|table|chapter|act|module|unit|stage"
    r"|lesson|case|variant|query|page|exercise) ?(?:\d+|one|two|three|four|five)\b(?!\s*[:(])",
    re.IGNORECASE,
)


def _find(query: Query) -> tuple[int, int] | None:
    found = first_match(_REFERENCE, query) if query.words <= _LONG_WORDS else None
    if found or query.brings_material:
        return found
    for artefact in _ARTEFACT_NAMED.finditer(query.head, query.start):
        if not query.bound(artefact.start()) and not _names_its_own(query, artefact.end()):
            return artefact.span()
    if query.words > _LONGEST_WORDS:
        return None
    label = _LABEL.search(query.head, query.start)
    if label and label.group().split()[0].lower() in query.recent_words:
        return label.span()
    return next(
        (the.span() for the in _THE.finditer(query.head, query.start) if _was_said(query, the)),
        None,
    )


def _was_said(query: Query, the: re.Match[str]) -> bool:
    """Whether the noun was in the last messages, and the query doesn't say which one it means."""
    own = query.head[query.start : the.start()].lower()
    if the["first"].lower().endswith("est"):
        return False
    for group in ("second", "first"):
        noun = the[group] or ""
        if not noun.islower() or noun in _NOT_A_NOUN or noun.endswith(("ly", "ing")):
            continue
        if singular(noun) in query.recent_words and singular(noun) not in own:
            return _FOLLOWS.match(query.head, the.end(group)) is not None
    return False


def _names_its_own(query: Query, position: int) -> bool:
    """Whether a quotation follows: *the word "set"*."""
    return re.match(r"\s*[\"“'‘]", query.head[position:]) is not None


DEFINITE = Rule("definite", _find)
