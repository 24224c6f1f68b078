"""Corrections of what was said or asked for: *13, not 14*, *I misread it*, *hang on*."""

import re

from parrot_core.context.query import Query, singular
from parrot_core.context.rule import ContextRule

_HALT = re.compile(
    r"(?:(?:ah|oh|no|but|um|er|well|ok)[, ]+)*(?:hold on|hang on|wait|oops|whoops|scratch that"
    r"|my (?:mistake|bad|fault)|correction|change of plans?|(?:bad|good) news|actually|ah no|oh no"
    r"|never mind)\b(?=\s*(?:[,.!:;…—–-]|\Z)|\s+(?:i|it|the|that|you|we|no|but)\b)",
    re.IGNORECASE,
)
_SORRY = re.compile(
    r"\W*(?:(?:ah|oh|no|ok|hm+|wait|i'?m|so)[,. ]+)*(?:sorry|apologies|my apologies)\s*[,.:!–—-]\s*"
    r"(?!(?:but )?(?:what|who|how|why|when|where|which|is|are|can|could|do|does|did|would|will"
    r"|please|if|to|for|i (?:don'?t|can'?t|need|want|have))\b)",
    re.IGNORECASE,
)
_ERRED = re.compile(
    r"\b(?:i|we)(?:'ve| have|'d| had| was| am|'m)?(?: just| also| only| really| think i'm)? "
    r"(?:misread|misspoke|mistyped|misremembered|miscounted|misheard|miscalculated|swapped"
    r"|(?:mixed|mixing) (?:up|them|those|these|the two|two things)"
    r"|forgot(?:ten)? (?:to (?:say|tell|mention|add|ask|write)|one|something|the (?:important|best"
    r"|main|most|other))|left (?:something |one )?out|overlooked|changed my mind|(?:'ve )?decided:?"
    r"|(?:counted|checked|looked|measured|read) (?:it )?again|double-checked|should have (?:said"
    r"|told|mentioned|written)|originally (?:said|wrote|wanted|asked)|stand corrected"
    r"|didn'?t (?:put|say|explain|express|phrase|word)"
    r"|(?:got|had|put|wrote|copied|typed|read|told|gave|said)\b[^.?!;]{0,30}\b(?:wrong(?:ly)?"
    r"|backwards|upside down|the wrong way))\b"
    r"|\b(?:was|is) a (?:slip|typo|misprint|mix-up|mistake)\b|\ba slip of the\b"
    r"|\b(?:issued|prints?|printed|published|sent) a correction\b|\bhas corrected\b"
    r"|\blet me (?:change|correct|rephrase|amend|adjust|put (?:it|that))\b"
    r"|,? after all(?=\s*[.!]|\Z)|, sorry(?=\s*(?:[.!]|\Z))"
    r"|\bdoes (?:that|this|it) (?:change|alter|affect) (?:anything|your|the|my|things)\b"
    r"|\b(?:what|which|how)\b[^.?!]{0,30} (?:does|do|would) (?:it|that|this) change\b",
    re.IGNORECASE,
)
_UNDO = re.compile(
    r"(?:please |ok,? |so |now )*(?:undo|never mind|start over|make that"
    r"|(?:scrap|forget|drop)(?: about)?(?= (?:the|that|it|what|my|your|this|those)\b))\b(?! me\b)",
    re.IGNORECASE,
)
_NOT_OLD = re.compile(
    r"[\w£$€%.:-]+, not (?:(?:in|on|at|by|with|from|for|to) )?(?:(?:an?|the|your|my) )?"
    r"(?P<old>[\w.:]*\w)",
    re.IGNORECASE,
)
_LONGEST_WORDS = 12
_QUESTION = re.compile(
    r"(?:why|is|are|does|do|what|which|who|how|can|could|when|where)\b", re.IGNORECASE
)


def _find(query: Query) -> tuple[int, int] | None:
    sorry = _SORRY.match(query.head)
    if sorry:
        return sorry.span()
    for place, (start, end) in enumerate(query.sentences):
        for pattern in (_HALT, _UNDO) if place < 2 else (_UNDO,):
            opening = pattern.match(query.head, start, end)
            if opening:
                return opening.span()
    erred = _ERRED.search(query.head, query.start)
    if erred and not query.quoted(erred.start()):
        return erred.span()
    return _replaced(query)


def _replaced(query: Query) -> tuple[int, int] | None:
    """*Thursday, not Friday*, where Friday is in the history."""
    for start, end in query.sentences:
        long = len(query.head[start:end].split()) > _LONGEST_WORDS
        if long or _QUESTION.match(query.head, start, end):
            continue
        for found in _NOT_OLD.finditer(query.head, start, end):
            if singular(found["old"].lower()) in query.told_words:
                return found.span()
    return None


CORRECTION = ContextRule("correction", _find)
