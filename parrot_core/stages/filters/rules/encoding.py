"""A text that went through the wrong encoding: mojibake, control characters, U+FFFD."""

import re

from ftfy.badness import is_bad

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_READ_AS_CHINESE = re.compile("锟斤拷|烫烫烫|屯屯屯")
_READ_CHARS = 2000


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses queries that no keyboard writes."""
    text = turn.query[:_READ_CHARS]
    if "\ufffd" in text:
        return "U+FFFD, the sign for a character that was lost"
    if control := _CONTROL.search(text):
        return f"control character U+{ord(control[0]):04X}"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "half of a surrogate pair"
    if _READ_AS_CHINESE.search(text) or is_bad(text):
        return "mojibake: UTF-8 that was read as something else"
    return None


RULE = FilterRule("a query in a broken encoding: mojibake, control characters, U+FFFD", check)
