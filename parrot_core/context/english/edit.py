"""Edits of something that the query doesn't bring along: *change 'a' to 'b'*, *make … funny*."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import Rule

_LONGEST_WORDS = 16
_EDIT = re.compile(
    r"(?:and |now |then |can you |could you |would you |will you |you should |try to |please |just "
    r")*"
    r"(?:change|replace|rename|remove|delete|add|include|incorporate|shorten|rephrase|reword"
    r"|rewrite|revise|reformat|modify|update|fix|format|try|use|adding|apply|combine|merge|reduce"
    r"|try adding|answer in|respond in|reply in|put in|don't|do not|keep)\b"
    r"(?! (?:an? (?!example|comment|column|section|line|paragraph|title|new)|me\b|my\b))",
    re.IGNORECASE,
)


def _find(query: Query) -> tuple[int, int] | None:
    if query.brings_material or query.words > _LONGEST_WORDS:
        return None
    found = _EDIT.match(query.head, query.start)
    return found.span() if found else None


EDIT = Rule("edit", _find)
