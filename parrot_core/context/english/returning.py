"""Returns to something of some turns ago: *back to the pot*, *at the start*, *what I told you*."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule

_LEAVE = r"(?:(?:but|and|now|so|then|please|can we|could we|let['’]?s|let us|let me|shall we)\s+)*"
_BACK = re.compile(
    rf"(?i:{_LEAVE}(?:(?:go|get|come|turn|switch|jump|circle|think)(?:ing)? back|return(?:ing)?)"
    r" (?:to|on)\b)(?! (?:[A-Z]\w+ )?(?:work|school|normal)\b)"
    rf"|(?i:{_LEAVE}back (?:to|on)) (?!(?:the )?[A-Z][a-z])"
    r"(?!(?:school|work|normal|life|basics|nature|sleep|bed|top)\b)"
)
_ORIGIN = re.compile(
    r"\b(?:at|since|in|near) the (?:very )?(?:start|beginning|outset)\b(?! of\b)"
    r"|\b(?:where|what|with|as|plan|ones?|how) (?:i|we|you|it all|it)(?:'d| had|'ve| have)? "
    r"(?:first )?(?:started|began|begun)\b"
    r"|\b(?:i|we|you)(?:'d| had|'ve| have)? (?:started|began|begun) (?:out )?with"
    r"(?=\s*(?:[,.?!:;]|\Z))"
    r"|\b(?:what|than|as|how) (?:you|i|we|it)\b[^.?!,;]{0,30}\bat first\b"
    r"|\b(?:than|as|like|from|to|with|of) (?:\w+ (?:was|were|did|had) )?before"
    r"(?=\s*(?:[,.?!;]|\Z|the\b))"
    r"|\bi(?:'d| had) (?:thought|planned|wanted|asked|meant|had)\b",
    re.IGNORECASE,
)
_OLDER_TEXT = re.compile(
    r"\byour (?:very )?(?:first|second|third|two|three|last|other|earlier|earliest|original|old"
    r"|initial) (?:\w+ )?(?!name\b|language\b|years?\b|days?\b|job\b)\w{3,}"
    r"|\b(?:my|the|that|this|our) (?:very )?(?:first|original|initial|earliest|earlier) (?:version"
    r"|answer|list|draft|question|message|letter|note|attempt|try|plan|idea|guess|estimate|figure"
    r"|function|query|one)s?\b(?! (?:in|for|of|to)\b)"
    r"|\bmy (?:question|message|request|mistake|slip|typo)\b(?! (?:is|:))"
    r"|\b(?:my|your|our) \w+ (?:at|from|in) the (?:start|beginning|outset)\b",
    re.IGNORECASE,
)
_TOLD = re.compile(
    r"\b(?:i|we)(?:'d| had|'ve| have)? (?:just |already |once |only |first )?(?:mentioned|told you"
    r"|asked (?:you|for|about|to)|gave you|began with|left out|read you|showed you|described"
    r"|pasted|quoted)\b"
    r"|\b(?:what|which|that|the \w+|as|one) you(?:'d| had|'ve| have|'re| are)?(?: just| first)?"
    r" (?:said|found|told|gave|named|chose|called|drew|counted|computed|calculated|wrote|offered"
    r"|put|had|asked|worked out|suggested|began)\b",
    re.IGNORECASE,
)


def _find(query: Query) -> tuple[int, int] | None:
    for start, end in query.sentences:
        back = _BACK.match(query.head, start, end)
        if back:
            return back.span()
    for pattern in (_ORIGIN, _OLDER_TEXT, _TOLD):
        found = pattern.search(query.head, query.start + 1)
        if found and not query.quoted(found.start()):
            return found.span()
    return None


RETURN = ContextRule("return", _find)
