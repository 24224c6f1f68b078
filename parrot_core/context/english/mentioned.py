"""Lexical links: *the pot*, *the 12 litres*, *that bug*, where the history has the word."""

import re

from parrot_core.context.query import Query, singular

_LONGEST_WORDS = 15
"""Longer sentences mostly say which pot they mean."""

SAYS_WHICH = (
    r"(?! (?:of|for|that|which|who|whose|where|when|with|below|about|behind|between|on|by|in|at"
    r"|from|to|called|named|used|needed|required|after|before|during)\b)(?!['’]s?\b|\()"
)
_THE = re.compile(
    r"\b(?:the|(?P<owned>each|both|our|your)) (?P<first>[a-z]{3,})(?: (?P<second>[a-z]{3,}))?"
    r"\b(?!-)",
    re.IGNORECASE,
)
_THAT = re.compile(
    r"(?:but |and |about |so |what about )?that (?:first |last |new |whole )?"
    r"(?P<first>[a-z]{3,})(?: (?P<second>[a-z]{3,}))?\b",
    re.IGNORECASE,
)
_FOLLOWS = re.compile(SAYS_WHICH, re.IGNORECASE)
_LABEL = re.compile(
    r"\b(?:day|week|month|level|phase|round|task|figure|table|chapter|act|module|unit|stage"
    r"|lesson|case|variant|query|page|exercise) ?(?:\d+|one|two|three|four|five)\b(?!\s*[:(])",
    re.IGNORECASE,
)
_FIGURE = re.compile(
    r"\b(?:the|that|those|my|your|only) (?P<figure>\d+(?:[.,:/]\d+)+|\d{2,}"
    r"|\d(?=\s*(?:[.,?!;]|\Z)))\b",
    re.IGNORECASE,
)
_NOT_A_NOUN = re.compile(
    r"(?:"
    r"above|actual|amount|average|best|better|big|biggest|body|city|common|complete"
    r"|correct|country|current|day|days|difference|differences|different|easiest"
    r"|economy|entire|environment|evening|exact|fact|fastest|first|following|full"
    r"|future|general|good|government|great|greatest|highest|history|idea|importance"
    r"|important|internet|largest|last|latest|least|left|list|longest|main|major"
    r"|market|media|mind|moment|moon|more|morning|most|name|new|next|night|nine"
    r"|number|ocean|old|one|only|other|past|people|person|planet|population"
    r"|president|press|problem|process|public|purpose|reason|right|role|rules|same"
    r"|sea|second|sky|state|steps|sun|system|term|third|time|top|total|type|types"
    r"|united|universe|use|usual|war|way|weather|web|week|word|words|world|worst"
    r"|year|years"
    r")\Z"
)
"""Adjectives, and what everybody knows or a phrase has: *the best*, *the sun*, *the same time*."""
_FUNCTION_WORD = re.compile(
    r"(?:"
    r"and|are|as|at|be|between|but|by|can|could|did|do|does|for|from|had|has"
    r"|have|i|in|into|is|it|must|not|of|on|or|should|than|that|then|they|to"
    r"|was|we|were|when|where|which|who|will|with|would|you"
    r")\Z"
)
"""What ends a noun phrase."""


def find_mentioned(query: Query) -> tuple[int, int] | None:
    """Return the span of the first definite description of something in the history."""
    figure = _FIGURE.search(query.head, query.start)
    if figure and figure["figure"] in query.told_words:
        return figure.span()
    short = query.words <= _LONGEST_WORDS
    for start, end in query.sentences:
        if len(query.head[start:end].split()) > _LONGEST_WORDS:
            continue
        label = _LABEL.search(query.head, start, end)
        if label and label.group().split()[0].lower() in query.recent_words:
            return label.span()
        that = _THAT.match(query.head, start, end)
        if that and _was_said(query, that):
            return that.span()
        for the in _THE.finditer(query.head, start, end):
            if (short or not the["owned"]) and _was_said(query, the):
                return the.span()
    return None


def _was_said(query: Query, the: re.Match[str]) -> bool:
    """Whether the noun is in the history, and the query doesn't say which one it means."""
    own = query.head[query.start : the.start()].lower()
    first, second = the["first"], the["second"] or ""
    if first.lower().endswith("est") or not first.islower() or query.quoted(the.start()):
        return False
    said = query.told_words if query.words <= _LONGEST_WORDS else query.recent_words
    for group, noun in (("second", second), ("first", first)):
        if _FUNCTION_WORD.match(noun) or _NOT_A_NOUN.match(noun) or noun.endswith(("ly", "ing")):
            continue
        if singular(noun) in said and singular(noun) not in own:
            return _FOLLOWS.match(query.head, the.end(group)) is not None
    return False
