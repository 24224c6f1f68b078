"""Requests that leave out what they are about: *write in python*, *give me an example*."""

import re

from parrot_core.context.query import Query

_LONGEST_WORDS = 10
_ASK = (
    r"(?:(?:can|could|would|will) (?:you|u) |please |now |just |kindly |i (?:need|want) |let'?s )*"
)
_MAKE = (
    r"(?:write|make|create|implement|generate|explain|describe|translate|convert|summari[sz]e|show"
    r"|list|draw|present|solve|calculate|answer|format|organi[sz]e|rank|sort|prove)"
)
_NO_OBJECT = re.compile(
    rf"{_ASK}{_MAKE}(?: me| us)? (?:in|with|for|using|as|without|from|into|by|like)\b"
    r"(?!.*\b(?:what|how|why|when|who|where|whether|that|the|of|about|to|on)\b)",
    re.IGNORECASE,
)
_ABOUT_SOMETHING = re.compile(
    rf"{_ASK}(?:(?:{_MAKE}|give|suggest|provide|share|have|get|see|need|want|add|propose|tell)"
    r"(?: me| us)? )?(?:an?|some|any|(?:a )?few|\d+|two|three|five|ten) (?:[\w-]+ )?"
    r"(?:examples?|samples?|summary|conclusion|introduction|intro|titles?|captions?|outline"
    r"|abstract|explanations?|analog(?:y|ies)|taglines?|slogans?|headlines?|hashtags|keywords"
    r"|descriptions?|references|citations|sources|test cases?|options|alternatives|suggestions"
    r"|ideas?|reasons|names?|code|snippet|diagram|overview|table|details?)"
    r"(?: for me| please)?\s*[.?!]*\s*\Z",
    re.IGNORECASE,
)
_WHICH = re.compile(
    r"(?:and |so |but )?which (?:is|are|was|were|has|have|do|does|did|would|should|will|can|could"
    r"|came|sold|made|won|takes|costs|gives|works|pays|looks|sounds|fits|needs|suits|\w{3,}ed)\b"
    r"(?!.*(?:\bor\b|,|:|\bof\b|\bthan\b|\bnot\b))",
    re.IGNORECASE,
)


def find_objectless(query: Query) -> tuple[int, int] | None:
    """Return the span of a short request or question that doesn't say what it is about."""
    if query.words > _LONGEST_WORDS:
        return None
    for pattern in (_NO_OBJECT, _ABOUT_SOMETHING, _WHICH):
        found = pattern.match(query.head, query.start)
        if found:
            return found.span()
    return None
