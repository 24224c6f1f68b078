"""Requests that carry on: *continue*, *more*, *try again*, *what else*, and bare replies."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import Rule

_CONTINUE = re.compile(
    r"(?:and |now |can you |could you |you can |please |just |let's |yes,? |ok,? )*(?:continue"
    r"|go on|keep (?:going|writing)|proceed|carry on|go ahead|finish|more\b|next\b|again\b"
    r"|try again|redo|regenerate|retry|repeat|start over|one more|another (?:one|example|version"
    r"|option)|elaborate|expand (?:on|upon|further)|explain (?:more|further|again)|tell me more"
    r"|go deeper|what else|who else|where else|anything else|what next|what now|resume\b(?! for))",
    re.IGNORECASE,
)
_REPLY = re.compile(
    r"(?:yes|yeah|yep|no|nope|correct|right|wrong|exactly|sure|true|false|agreed"
    r"|not (?:really|quite)|of course|incorrect|i (?:agree|disagree)"
    r"|i don'?t (?:understand|think so|get it|know)"
    r"|actually|acctually)\b(?=\s*(?:[.,!?;:)]|$)|\s+(?:but|it|that|you|i|please)\b)",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"(?:[a-e]|\d{1,2})\s*[.)]?\s*\Z", re.IGNORECASE)


def _find(query: Query) -> tuple[int, int] | None:
    for pattern in (_CONTINUE, _REPLY, _CHOICE):
        found = pattern.match(query.head, query.start)
        if found:
            return found.span()
    return None


CONTINUATION = Rule("continuation", _find)
