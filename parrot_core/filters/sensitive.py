"""A query on a topic that no training dialogue should be about: a few patterns of our own.

They look for intent, not for words: history, news, medicine and fiction mostly pass. English only.
"""

import re
from collections.abc import Mapping, Sequence

from parrot_core.engines.types import Message
from parrot_core.recipe import Filter

_NEAR = r"[^.?!\n]{0,40}?"
_MINOR = r"\b(?:child(?:ren)?|kids?|minors?|under-?age\w*|school ?girls?|school ?boys?|toddlers?)\b"
_SEXUAL = r"\b(?:sex(?:ual(?:ly|ized)?|y)?|erotic\w*|nudes?|naked|porn\w*|nsfw)\b"
_BUILD = (
    r"\b(?:mak(?:e|ing)|build(?:ing)?|assembl\w+|synthesi[sz]\w+|construct(?:ing)?|cook(?:ing)?)\b"
)
_WEAPON = (
    r"\b(?:(?:pipe|nail|car|dirty|petrol|fertilizer) bombs?|a bomb|napalm|"
    r"explosives|explosive (?:device|charge)s?|molotov\w*|nerve (?:agent|gas)|sarin|ricin|"
    r"ghost guns?|silencers?|bioweapons?|"
    r"chemical weapons?|methamphetamine|crystal meth)\b"
)

TOPICS: Mapping[str, re.Pattern[str]] = {
    topic: re.compile(pattern, re.IGNORECASE)
    for topic, pattern in {
        "self-harm": r"\b(?:kill(?:ing)?|hurt(?:ing)?|harm(?:ing)?|cut(?:ting)?) myself\b"
        r"|\b(?:i am|i'm|i feel|feeling) suicidal\b|\bend(?:ing)? my (?:own )?life\b"
        r"|\b(?:how to|ways? to|want to|methods? (?:to|of)) (?:commit(?:ting)? )?suicide\b"
        r"|\bhow (?:can|do|should) i commit suicide\b",
        "sexual content with minors": f"{_SEXUAL}{_NEAR}{_MINOR}|{_MINOR}{_NEAR}{_SEXUAL}",
        "explicit sexual content": r"\b(?:hardcore porn|porn(?:o|ographic) (?:story|scene|video)s?"
        r"|erotica|explicit sex(?:ual)? (?:scene|story|act)s?|blow ?jobs?|sext(?:ing)?)\b",
        "weapons and explosives": f"{_BUILD}{_NEAR}{_WEAPON}",
        "hate": r"\bn[i1]gg(?:er|a)s?\b|\bf[a4]gg[o0]ts?\b|\bk[i1]kes?\b"
        r"|\b(?:kill|exterminate|gas|deport) all (?:the )?"
        r"(?:jews|muslims|christians|blacks|whites|gays|immigrants)\b",
    }.items()
}


class Sensitive:
    """Refuses queries that ask for harm."""

    name = "sensitive"

    def check(self, query: str, earlier: Sequence[Message], settings: Filter) -> str | None:
        """See :class:`parrot_core.filters.rule.Rule`."""
        return next((topic for topic, pattern in TOPICS.items() if pattern.search(query)), None)
