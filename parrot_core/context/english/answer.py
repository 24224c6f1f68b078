"""Answers to what the assistant asked for: *I live in Hong Kong*, after *Where are you?*."""

import re

from parrot_core.context.query import Query

_LONGEST_WORDS = 15
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_ASKS = re.compile(
    r"\?\s*\Z|\bplease (?:provide|share|tell|give|specify|describe|enter|let me know (?:what"
    r"|which|the))\b",
    re.IGNORECASE,
)
_OFFERS = re.compile(
    r"\b(?:help|assist|else|any(?:thing)? (?:\w+ )?(?:questions?|more|other)|questions"
    r"|would you like me"
    r"|ready|shall (?:i|we)|make sense|sense\?)\b",
    re.IGNORECASE,
)
_ASKS_BACK = re.compile(
    r"\?|(?:and |so |but |then |now |ok |please )*(?:what|how|why|who|when|where|which|is|are|do"
    r"|does|did|can|could"
    r"|would|will|should|give|write|make|create|explain|tell|show|list|generate|please|i want you"
    r"|act|let'?s|describe|provide|find|suggest|compare|translate|summari[sz]e)\b",
    re.IGNORECASE,
)


def find_answer(query: Query) -> tuple[int, int] | None:
    """Return the span of a short query that answers the question or request of the last message.

    The two parts of such a pair are understood together (Schegloff and Sacks 1973). An offer of
    help asks nothing, and what asks in its turn is no answer.
    """
    if not query.history or query.brings_material or not 0 < query.words <= _LONGEST_WORDS:
        return None
    sentences = [part for part in _SENTENCE.findall(query.history[-1][-400:]) if part.strip()]
    last = sentences[-1] if sentences else ""
    if not _ASKS.search(last) or _OFFERS.search(last):
        return None
    if _ASKS_BACK.match(query.head, query.start) or "?" in query.text:
        return None
    return query.start, len(query.head.rstrip())
