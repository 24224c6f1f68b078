"""Comparison with what was said: *shorter*, *more examples*, *another*, *instead*, *as well*."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import Rule

_AGAINST = re.compile(
    r"\b(?:(?:\d+|one|two|three|few|some|any|many|bit|little|much|add|with|give me|even|lot) more\b"
    r"(?! than)|(?:in )?more (?:details?|examples?|information|info|ideas?|options?|depth"
    r"|specific(?:ally)?|ones|formal(?:ly)?|casual|concise|creative|detailed|professional|simple|simply|human"
    r"|natural|engaging|context|lines|words|like)\b"
    r"|(?:write|think of|do|show|find|tell|say|need|want|know) more(?=\s*(?:[.?!]|$))"
    r"|too (?:long|short|complex|complicated|formal|simple|many|much|big|small|expensive|generic)\b"
    r"|(?:shorter|longer|simpler|bigger|smaller|cheaper|funnier|clearer|stronger|shorten|lengthen)\b"
    r"|(?:any|some|what|which|list|give|show) (?:\w+ )?other\b(?! than)|(?<!one )another\b"
    r"|instead\b|again\b|else\b(?! if)|as well\b|too(?=\s*(?:[.?!]|$))|also\b|additional(?:ly)?\b"
    r"|different(?:ly)? (?:way|one|approach|version|style|format|from|words)\b"
    r"|the difference\b(?! between)|alternatives?(?=\s*(?:[.?!]|$)))",
    re.IGNORECASE,
)
_OWN_STANDARD = re.compile(r"\b(?:than|versus|vs)\b", re.IGNORECASE)
_NEAR_WORDS = 25


def _find(query: Query) -> tuple[int, int] | None:
    if query.brings_material or query.words > _NEAR_WORDS:
        return None
    found = _AGAINST.search(query.head, query.start)
    if found is None or _OWN_STANDARD.search(query.head, found.end()):
        return None
    return found.span()


COMPARATIVE = Rule("comparative", _find)
