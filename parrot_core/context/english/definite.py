"""Definite references to something the conversation brought up: *the second one*, *the table*."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import Rule, first_match

_ORDINAL = r"(?:first|second|third|fourth|fifth|last|final|next|other|\d+(?:st|nd|rd|th))"
_PARTS = (
    r"(?:one|ones|two|three|option|point|item|step|part|paragraph|sentence|example|question|answer"
    r"|section|line|suggestion|idea|column|row|choice|method|approach|chapter|scene|verse|slide"
    r"|bullet|topic|statement|stanza|problem|solution|version)s?"
)
_REFERENCE = re.compile(
    rf"\bthe (?!first steps)(?:\w+ )?{_ORDINAL} {_PARTS}\b"
    r"|\bthe (?:former|latter|rest|remaining|others)\b"
    r"|\bthe other(?:s)?(?=\s*[.?!,;]|\s*$)|\bthe same\b|\b(?:which|this|that|another|each) one\b"
    r"|\b(?:both|either|neither|all|some|any|each|most|one) of (?:them|these|those)\b"
    r"|\bthe (?:two|three|four|five|six|seven|eight|nine|ten|\d{1,2}) (?!of\b)[a-z]+s\b"
    r"(?! (?:of|that|which|for)\b)|\bwhich of (?:them|these|those|the)\b"
    r"|\b(?:step|point|option|item|number|question|part|section|paragraph|slide|example|scene"
    r"|bullet|topic)s? ?#?(?:\d+|one|two|three|four|five)\b(?!\s*:)",
    re.IGNORECASE,
)
_ARTEFACT = re.compile(
    r"\bthe (?:\w+ )?(?:answers?|article|app|blog|chapter|characters?|chart|code|content"
    r"|conversation|descriptions?|diagram|dialogue|email|error|essay|examples?|explanation"
    r"|functions?|headings?|introduction|joke|letter|lines?|list|lyrics|message|names?|outline"
    r"|output|paragraphs?|plan|poem|post|prompt|questions?|quiz|recipe|references?|response|results?"
    r"|return value|scene|script|sentences?|song|sources?|speech|story|summary|syllabus|table|text"
    r"|title|tone|topics?|tweet|values?|variables?|words?)\b"
    r"(?! (?:of|for|that|which|with|below|about|behind|between|on|by|called|named)\b)"
    r"(?!['’]s?\b|\()",
    re.IGNORECASE,
)


def _find(query: Query) -> tuple[int, int] | None:
    found = first_match(_REFERENCE, query)
    if found or query.brings_material:
        return found
    for artefact in _ARTEFACT.finditer(query.head, query.start):
        if not query.bound(artefact.start()):
            return artefact.span()
    return None


DEFINITE = Rule("definite", _find)
