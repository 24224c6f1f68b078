"""Comparison with what was said: *shorter*, *more examples*, *another*, *a darker one*, *too*."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule

NUMBER_WORDS = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|fifty)"
_DEGREE = (
    r"(?:shorter|longer|simpler|bigger|smaller|cheaper|funnier|clearer|stronger|newer|older|harder"
    r"|easier|nicer|darker|lighter|quieter|warmer|friendlier|softer|tougher|happier|sadder|catchier"
    r"|punchier|tighter|deeper)"
)
_AGAINST = re.compile(
    rf"\b(?:(?:{NUMBER_WORDS}|few|some|any|bit|little|much|add|with|give me|even|lot) more\b"
    r"(?! than)|(?:in )?more (?:details?|examples?|information|info|ideas?|options?|depth"
    r"|specific(?:ally)?|ones|formal(?:ly)?|casual|concise|creative|detailed|professional|simple"
    r"|simply|human"
    r"|natural|engaging|context|lines|words|like)\b"
    r"|(?:write|think of|do|show|find|tell|say|need|want|know) more(?=\s*(?:[.?!]|$))"
    r"|too (?:long|short|complex|complicated|formal|simple|many|much|big|small|expensive|generic)\b"
    rf"|{_DEGREE}\b|shorten\b|lengthen\b|similar(?=\s*(?:[.?!]|$))"
    r"|(?:any|some|what|which|list|give|show|there|are|find|with) (?:\w+ )?other\b(?! than)"
    r"|(?<!one )another\b"
    r"|instead\b(?! of)|again\b|(?<!-)else\b(?! (?:if|statement))|as well\b|too(?=\s*(?:[.?!]"
    r"|$))|additional(?:ly)?\b"
    r"|different(?:ly)? (?:way|one|approach|version|style|format|from|words)\b"
    r"|the difference\b(?! (?:between|in)\b)|alternatives?(?=\s*(?:[.?!]|$)))"
    r"|^\W*(?:can you |could you |please )*(?:make|create|write|do|give me) (?:me )?a version\b"
    r"|(?:is|are|was|were|do|does|can|could) (?:\w+ ){1,2}also\b"
    r"|^\W*(?:make|keep|write|sound|be|use)\b.*\bless \w+|^\W*(?:more|less) \w+\W*$",
    re.IGNORECASE,
)
_ONE = re.compile(
    r"\b(?:an?|the|some|any) (?!one\b)[\w-]+ one\b(?=\s*(?:[.?!,;]|$|please|for|about|with|in|on"
    r"|to))"
    r"|\b(?!the\b|loved\b|little\b|young\b)[\w-]+ ones\b"
    r"|\b(?:write|make|do|create|generate|give me|show me) one\b(?=\s*(?:[.?!,;]|$|for|about"
    r"|with))",
    re.IGNORECASE,
)
_OWN_STANDARD = re.compile(r"\b(?:than|versus|vs)\b|,[^,]* or \w+|\b\w+ or \w+", re.IGNORECASE)
_BOUND = re.compile(r"\b(?:how (?:can|do|to|does)|what are|explain)\b", re.IGNORECASE)
_NEAR_WORDS = 25


def _find(query: Query) -> tuple[int, int] | None:
    if query.brings_material or query.words > _NEAR_WORDS:
        return None
    anaphor = _ONE.search(query.head, query.start)
    if anaphor and not query.bound(anaphor.start()):
        return anaphor.span()
    found = _AGAINST.search(query.head[query.start :])
    if found is None or _OWN_STANDARD.search(query.head, query.start + found.end()):
        return None
    if _BOUND.match(query.head, query.start):
        return None
    return found.start() + query.start, found.end() + query.start


COMPARATIVE = ContextRule("comparative", _find)
