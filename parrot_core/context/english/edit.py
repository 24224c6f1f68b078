"""Edits of what the query doesn't bring along: *change 'a' to 'b'*, *add a phone column*."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule

_LONGEST_WORDS = 16
_EDIT = re.compile(
    r"(?:and |now |then |can you |could you |would you |will you |you should |try to |please |just "
    r"|let'?s |also )*"
    r"(?:(?:add|include|incorporate|insert|mention|omit|leave out|swap)\b"
    r"|(?:change|replace|rename|remove|delete|shorten|rephrase|reword"
    r"|move|stop|avoid|skip|exclude|cut|be (?:more|less|a bit|\w+er)|rewrite"
    r"|revise|reformat|modify|update|fix|format|try|use|adding|apply|combine|merge|reduce"
    r"|try adding|answer in|respond in|reply in|put in|don't|do not|keep|turn)\b"
    r"(?! (?:an? (?!example|comment|column|section|line|paragraph|title|new)|me\b|my\b)))",
    re.IGNORECASE,
)
_OWN_MATERIAL = re.compile(
    r"\w+ \d[\d.,]* (?:and|plus|to|from) \d"
    r"|change \d[\d.,]* .*\b(?:into|in|to) [a-z]+\W*\Z"
    r"|(?:\w+ )*?use [A-Z].* to (?:make|write|create)\b"
    r"|.*[\"“][^\"”]*(?:\s[^\"”\s]+){2,}[\"”]",
    re.IGNORECASE,
)


def _find(query: Query) -> tuple[int, int] | None:
    if query.brings_material or query.words > _LONGEST_WORDS:
        return None
    found = _EDIT.match(query.head, query.start)
    if found is None or _OWN_MATERIAL.match(query.head, query.start):
        return None
    return found.span()


EDIT = ContextRule("edit", _find)
