"""Talk about the talk: *above*, *you said*, *your last answer*, *I meant*."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule, first_match

_TEXTS = (
    r"(?:answers?|responses?|replies|reply|suggestions?|recommendations?|lists?|code|examples?"
    r"|explanations?|descriptions?|statements?|solutions?|versions?|points?|questions?|messages?"
    r"|story|poem|text|output|results?|queries|query|prompts?|table|essay|summary|paragraphs?"
    r"|sections?|steps?|conversation|calculations?|instructions?|topics?|ideas?|information)"
)
_DISCOURSE = re.compile(
    rf"\b(?:the|your|from|as|and|in|on|of) above\b|\babove(?=\s*[.?!,;]|\s*$)"
    rf"|\babove[ -](?:mentioned|{_TEXTS})\b"
    rf"|\b(?:previous|earlier|preceding|prior|last|latest|original) {_TEXTS}\b"
    r"|\b(?:previously|just|already|earlier) (?:mentioned|said|provided|gave|given|listed|wrote"
    r"|described|discussed)\b|\baforementioned\b|\bas before\b"
    r"|\byou(?:'ve| have)?(?: just| already| previously| also| only| never| still)? (?:said"
    r"|mentioned|gave|given"
    r"|provided|wrote|written|listed|suggested|recommended|described|forgot|missed|skipped|stopped"
    r"|rephrased|generated|told|made|misunderstood|stated|used|cut off|didn't|did not)\b"
    rf"|\byour (?!command prompt)(?:\w+ )?{_TEXTS}\b"
    r"|\bmy (?:initial|original|previous|earlier|last) (?:problem|question|request|prompt"
    r"|message|query|point|instructions?)\b"
    r"|\bi (?:mean|meant|said|asked|already (?:said|told|asked)|still)\b|^\s*meant\b"
    r"|\b(?:we|we've|we have) (?:just )?(?:discussed|talked|been|did|made|wrote|created)\b"
    r"|\bi (?:also|was (?:asking|talking|referring)|provided|gave you|sent|shared|just)\b"
    r"|\b(?:conversation|discussed) so far\b"
    r"|\bdid you (?:add|use|change|mean|say|write|choose|remove|forget)\b"
    r"|\A\W*(?:(?:now |but |still )*i(?:'?m| am) (?:still )?getting\b|i (?:still )?(?:get"
    r"|got) an? (?:\w+ )?error\b|[\w.]*(?:error|exception|warning): |traceback \(|it (?:says"
    r"|said)\b)"
    r"|\byou(?:'re| are) (?:missing|wrong|right|mistaken|correct|incorrect|confusing|forgetting"
    r"|repeating|ignoring|contradicting)\b|\bwhat do you mean\b|\bare you sure\b"
    r"|\bremember\b(?=.*\b(?:when|said|told|earlier)\b)",
    re.IGNORECASE,
)


def _find(query: Query) -> tuple[int, int] | None:
    return first_match(_DISCOURSE, query)


DISCOURSE = ContextRule("discourse", _find)
