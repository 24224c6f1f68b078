"""Definite references to something the conversation brought up: *the second one*, *the table*.

*The* with a noun leans on the conversation where the noun was said in its last messages, or names a
part of a text (*the plot*), unless the query itself says which one: *the capital of Italy*.
"""

import re

from parrot_core.context.english.mentioned import SAYS_WHICH, find_mentioned
from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule, first_match

_LONG_WORDS = 30

_ORDINAL = (
    r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|final|next|other"
    r"|\d+(?:st|nd|rd|th))"
)
_PARTS = (
    r"(?:one|ones|two|three|option|point|item|step|part|paragraph|sentence|example|question|answer"
    r"|section|line|suggestion|idea|column|row|choice|method|approach|chapter|scene|verse|slide"
    r"|bullet|topic|statement|stanza|problem|solution|version|scenario|case)s?"
)
_COUNT = r"(?:two|three|four|five|six|\d{1,2})"
_REFERENCE = re.compile(
    rf"\bthe (?!first steps)(?:\w+ )?{_ORDINAL} {_PARTS}\b(?! (?:in|to|for|of) (?:\w+ing|an?)\b)"
    rf"|\bthe {_ORDINAL} ones?\b"
    r"|\bthe (?:former|latter|rest|remaining|others)\b"
    r"|\bthe other(?:s)?(?=\s*[.?!,;]|\s*$)|\bthe same\b|\b(?:which|this|that|another|each) one\b"
    r"|\b(?:both|either|neither|all|some|any|each|most|one) of (?:them|these|those)\b"
    r"|\bthe (?:two|three|four|five|six|seven|eight|nine|ten|\d{1,2}) (?!of\b)[a-z]+s\b"
    r"(?! (?:of|that|which|for)\b)|\bwhich of (?:them|these|those|the(?! following\b))\b"
    r"|\b(?:which|either|neither|both|each|any|all|one|none|some|most) of (?:the|your|our)"
    rf" (?:{_COUNT}|\w+ {_PARTS})\b|\b(?:the|all) (?:two|three|four|five)(?=\s*(?:[.?!,;]|\Z))"
    r"|\bthe (?!little\b|loved\b|only\b)[a-z]+ ones?\b(?! (?:of|in|for|that|who|which)\b)"
    r"|\bthe one(?=\s*(?:[.?!,;]|\Z))|\bthe ones? (?:you|i|we|with|from|before)\b"
    r"|\b(?:step|point|option|item|number|question|part|section|paragraph|slide|example|scene"
    r"|bullet|topic)s? ?#?(?:\d+|one|two|three|four|five)\b(?!\s*:)"
    r"|\b(?:the|take|choose|use|prefer|like) (?:first|second|third|last)(?= then|\s*(?:[.?!,]|$))",
    re.IGNORECASE,
)
_ARTEFACT = (
    r"(?:answers?|article|app|blog|chapter|characters?|chart|code|content|conclusion"
    r"|conversation|descriptions?|diagram|dialogue|email|ending|error|essay|examples?|explanation"
    r"|functions?|headings?|headline|introduction|joke|letter|lines?|list|lyrics|message|moral"
    r"|names?|outline|output|paragraphs?|passage|plan|plot|poem|post|prompt|questions?|quiz|recipe"
    r"|references?|response|results?|return value|scene|script|sentences?|song|sources?|speech"
    r"|story|summary|syllabus|table|text|title|tone|topics?|tweet|values?|variables?|words?)"
)
_REWORK = (
    r"(?:rewrite|rework|change|modify|update|adjust|edit|fix|revise|refactor|convert|shorten"
    r"|expand)"
)
_ARTEFACT_NAMED = re.compile(
    rf"\b(?:the|our) (?:\w+ )?{_ARTEFACT}\b{SAYS_WHICH}"
    rf"|\b{_REWORK} the (?:\w+ )?{_ARTEFACT}(?= to\b)",
    re.IGNORECASE,
)


_OWN_CHOICE = re.compile(r"(?:which|who|what) (?:one )?of\b.*,.*\bor\b", re.IGNORECASE)


def _find(query: Query) -> tuple[int, int] | None:
    found = first_match(_REFERENCE, query) if query.words <= _LONG_WORDS else None
    if found and _OWN_CHOICE.match(query.head, query.start):
        return None
    if found or query.brings_material:
        return found
    for artefact in _ARTEFACT_NAMED.finditer(query.head, query.start):
        if not query.bound(artefact.start()) and not _names_its_own(query, artefact.end()):
            return artefact.span()
    return find_mentioned(query)


def _names_its_own(query: Query, position: int) -> bool:
    """Whether a quotation follows: *the word "set"*."""
    return re.match(r"\s*[\"“'‘]", query.head[position:]) is not None


DEFINITE = ContextRule("definite", _find)
