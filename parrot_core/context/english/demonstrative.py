"""Demonstratives: *this*, *that*, *these*, *those*, *such a* pointing out of the query."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule

_NOUNS = (
    r"(?:answer|app|approach|article|case|chapter|character|class|code|command|concept|data|email"
    r"|error|essay|example|explanation|feature|file|format|formula|function|idea|image|information"
    r"|issue|joke|kind|letter|line|list|message|method|model|name|number|one|option|outline|output"
    r"|page|paragraph|part|party|person|plan|poem|point|post|problem|process|program|project|prompt"
    r"|query|question|reason|recipe|response|result|sample|scene|script|section|sentence|situation"
    r"|solution|song|sort|statement|step|story|style|subject|summary|table|task|text|theory|thing"
    r"|title|tone|topic|type|value|version|way|word|work)s?"
)
_DEMONSTRATIVE = re.compile(
    r"\bthis\b(?! (?:year|month|week|weekend|morning|afternoon|evening|summer|winter|conversation"
    r"|chat|world|century|decade|time of|point in)\b)(?!\s*:)(?: (?P<noun>(?!is|was|can|be|to|in"
    r"|with|for|and|as|so|into|on|but|will|work"
    r"|mean|more|from|like|by|using|a|the|out|up|does|would|could|should|has)(?!https?\b"
    r"|\w+ly\b)[a-z]{3,}))?"
    r"|\bthese\b(?! days\b)|\bthose\b(?! (?:who|that|which|of|with|in)\b)"
    rf"|\bthat {_NOUNS}\b"
    r"|\b(?:of|in|for|with|about|on|from|by|does|did|using|under|at) that"
    r"(?! (?:the|an?|i|you|we|he|she|they|it|is|are|was)\b) [a-z]+"
    r"|\b(?:of|about|for|with|in|to|from|like|do|does|did|doing|done|explain|mean|fix|change|after"
    r"|before|than|know|on|by|use|using|make|write|say|said|why|how|how's|what's|not|at|check"
    r"|tried|try|get|see|put|understand|repeat|show) that"
    r"(?=\s+(?:in|with|for|as|on|to|into|and|but|so|again|more|better|work|back)\b)"
    r"|\bthat(?=\s*(?:[.?!,;]|\Z))|\bthat's\b"
    r"|\b(?:is|was|be) that (?=than\b)"
    r"|\b(?<!out )(?<!over )(?<!is )(?<!are )(?<!was )there(?=\s*(?:[.?!]|\Z))|\bsuch (?:an?"
    r"|\w+s)\b(?<!such as)",
    re.IGNORECASE,
)
_OPENING_THAT = re.compile(
    r"(?:(?:what|how|why|when|where|who) )?(?:is|does|was|would|can|could|will|did|should|has) that"
    r"\b(?! (?:the|a|an|i|you|we|they|it)\b)|that (?:is|was|will|would|does"
    r"|did|sounds?|looks?|seems?|makes?|didn|doesn"
    r"|isn|means?|should|could|can|has)\b"
    r"|this (?:will|would|works?|worked|looks|does|did|doesn|didn|isn|is not|seems|sounds)\b",
    re.IGNORECASE,
)


def _bound_by_name(query: Query, found: re.Match[str]) -> bool:
    earlier = query.head[query.start : found.start()].lower()
    return found["noun"].lower().rstrip("s") in earlier


def _find(query: Query) -> tuple[int, int] | None:
    opening = _OPENING_THAT.match(query.head, query.start)
    if opening:
        return opening.span()
    if query.brings_material:
        return None
    for found in _DEMONSTRATIVE.finditer(query.head, query.start):
        such = found.group().lower().startswith("such")
        named = _bound_by_name(query, found) if found["noun"] else query.bound(found.start())
        if such or not named:
            return found.span()
    return None


DEMONSTRATIVE = ContextRule("demonstrative", _find)
