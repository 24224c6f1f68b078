"""Which sign shows that an English query depends on its context: named once the model has said so.

The patterns decide nothing: they only say by what kind of cue, and where, for people to see and for
statistics to count. A dependent query in which none is found leaves out what was said (ellipsis).
"""

import re

from parrot_core.context.english.model import trained_model
from parrot_core.context.query import Query
from parrot_core.context.rule import Cue, Kind

_LONGEST_REPLY = 4
_CONTINUATION = (
    r"^(?:please )?(?:continue|go on|keep (?:going|writing)|carry on|proceed|more|next|again|yes"
    r"|yeah|yep|no|nope|sure|ok(?:ay)?|finish)\b"
    r"|\b(?:still|doesn't|does not|didn't|did not) (?:not )?work"
)
_DISCOURSE = (
    r"\b(?:the )?(?:above|previous(?:ly)?|aforementioned)\b|\b(?:you|we) (?:just )?(?:said|say|told"
    r"|mention|gave|wrote|suggest|listed|provided|missed|forgot|talked|discuss)\w*"
    r"|\byour (?:\w+ )?(?:answer|response|reply|code|example|list|suggestion|explanation)s?\b"
    r"|\b(?:i|do you) mean\b"
)
_RETURN = (
    r"\b(?:back to|return to|go(?:ing)? back|original(?:ly)?|at the start|(?:began|started) with)\b"
    r"|\b(?:the|your) (?:very )?first (?:version|plan|idea|draft|one|estimate|question|answer)\b"
)
_CORRECTION = (
    r"^(?:no,|wait|hang on|hold on|sorry|actually|oops|scratch that|correction)"
    r"|\b(?:i meant|i forgot|i was wrong|my mistake|make that|was right)\b"
    r"|, not (?:the |a )?\w+[.!]?$"
)
_DEFINITE = (
    r"\b(?:the|your|which of the) (?:first|second|third|fourth|fifth|last|next|other|same|two|three"
    r"|former|latter|final)\b(?: \w+)?"
    r"|\b(?:step|point|number|option|part|chapter|section|example|day|slide) \d+|\bthe [a-z]\w+"
)
_ELLIPSIS = r"^(?:and|but|or|so|then|what about|how about|what if|why|how so|because|also)\b"
_COMPARATIVE = (
    r"\b(?:another|others?|else|instead|more|less|fewer|\w+(?:[lrtdn]|i|m|g|p)er(?= |$|[?.!]))\b"
)
_EDIT = (
    r"^(?:can you |could you |please |now )*(?:add|remove|delete|rewrite|re-write|rephrase|change"
    r"|make|replace|turn|translate|shorten|expand|improve|rename|update|put|use|convert|fix|format"
    r"|summari[sz]e|simplify|include|insert|refine|regenerate)\b"
)
_PRONOUN = r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers)\b"
_VERB = (
    r"\b(?:is|are|was|were|do|does|did|can|could|will|would|should|has|have|had|write|give|tell"
    r"|show|make|explain|list|add|use|say|think|want|need|i'm|it's)\b"
)
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("correction", re.compile(_CORRECTION, re.IGNORECASE)),
    ("return", re.compile(_RETURN, re.IGNORECASE)),
    ("discourse", re.compile(_DISCOURSE, re.IGNORECASE)),
    ("pronoun", re.compile(_PRONOUN, re.IGNORECASE)),
    ("demonstrative", re.compile(r"\b(?:this|that|these|those|such an?)\b", re.IGNORECASE)),
    ("ellipsis", re.compile(_ELLIPSIS, re.IGNORECASE)),
    ("comparative", re.compile(_COMPARATIVE, re.IGNORECASE)),
    ("edit", re.compile(_EDIT, re.IGNORECASE)),
    ("definite", re.compile(_DEFINITE, re.IGNORECASE)),
)
"""In the order in which the kind of a query is looked for, the surest sign first."""

_CONTINUES = re.compile(_CONTINUATION, re.IGNORECASE)
_HAS_VERB = re.compile(_VERB, re.IGNORECASE)


def find_cues(query: Query) -> tuple[Cue, ...]:
    """The cues of a query that depends on its context, the surest first; none if it does not."""
    if not query.text.strip() or not trained_model().depends(query):
        return ()
    head, start = query.head, query.start if query.head[query.start :].strip() else 0
    found: list[Cue] = []
    patterns = _PATTERNS
    if query.words <= _LONGEST_REPLY:
        patterns = (("continuation", _CONTINUES), *_PATTERNS)
    for kind, pattern in patterns:
        sign = pattern.search(head[start:])
        if sign:
            found.append(Cue(kind, (start + sign.start(), start + sign.end())))
    return tuple(found) or (_without_sign(query, start),)


def _without_sign(query: Query, start: int) -> Cue:
    """The whole of the user's words: no sentence, or one that leaves out what was said."""
    words = query.head[start:]
    end = start + len(words.rstrip()) if words.strip() else len(query.text)
    kind: Kind = "ellipsis" if _HAS_VERB.search(words) else "fragment"
    return Cue(kind, (start, end))
