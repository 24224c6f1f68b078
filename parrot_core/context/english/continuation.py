"""Requests that carry on: *continue*, *more*, *try again*, *what else*, and bare replies."""

import re

from parrot_core.context.english.answer import find_answer
from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule

_CONTINUE = re.compile(
    r"(?:and |now |can you |could you |you can |please |just |let'?s |yes,? |ok,? )*(?:continue"
    r"(?!s? (?:this|the) (?:sequence|series))|go on|keep (?:going|writing)|proceed|carry on"
    r"|go ahead|finish|more\b|next\b|again\b"
    r"|try again|redo|regenerate|retry|repeat|start over|one more|another (?:one|example|version"
    r"|option)|elaborate|expand (?:on|upon|further)|explain (?:more|further|again)"
    r"|tell me more(?! about)"
    r"|(?:go|get|dive|dig|delve) (?:in(?:to)? )?(?:more |further |greater )?(?:depth|details?)\b"
    r"(?! (?:of|on|about|in)\b)|go deeper|what else|who else|where else|anything else|what next"
    r"|what now|resume\b(?! for)"
    r"|(?:show|check) your work|(?:keep working|move on|go back|start over|revisit)\b)",
    re.IGNORECASE,
)
_REPLY = re.compile(
    r"(?:yes|yeah|yep|no|nope|correct|right|wrong|exactly|sure|true|false|agreed"
    r"|not (?:really|quite)|of course|incorrect|i (?:agree|disagree|did|have|tried|don'?t)"
    r"|i don'?t (?:understand|think so|get it|know)|already|same (?:error|issue|problem|thing)"
    r"|(?:still )?(?:does|did|is)(?:n'?t| not)(?: work\w*)?|(?:still )?not work\w*|works"
    r"|(?:sounds|looks) good|fair enough|fair|makes sense|good (?:question|point|idea)"
    r"|actually|acctually)\b(?=\s*(?:[.,!?;:)]|$)|\s+(?:but|it|that|you|i|please|all of)\b)"
    r"|already \w+\W*$",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"(?:option )?(?:[a-e]|\d{1,6})\s*[.)?]?\s*\Z", re.IGNORECASE)
_NEW_TASK = re.compile(r"(?:finish|continue|repeat)\b.*(?:\d+\s*,\s*\d+|[\"“])", re.IGNORECASE)


def _find(query: Query) -> tuple[int, int] | None:
    if _NEW_TASK.match(query.head, query.start):
        return None
    for pattern in (_CONTINUE, _REPLY, _CHOICE):
        found = pattern.match(query.head, query.start)
        if found:
            return found.span()
    return find_answer(query)


CONTINUATION = ContextRule("continuation", _find)
