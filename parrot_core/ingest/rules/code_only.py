"""Check: an opening query that is pasted code and no request."""

import re
from collections.abc import Sequence

from parrot_core.engines.types import Message

_CODE_LINE = re.compile(
    r"^\s*(?:[{}()\[\];,]+$|</?\w|(?:import|from|def|class|return|if|for|while|else|elif|public|private|"
    r"static|void|const|let|var|function|using|namespace|#include|package|select|insert|@\w+)\b"
    r".*[:;{}()\[\]=,]?$|[\w.\[\]]+\s*[-+*/|&]?=\s*\S|[\w.]+\(.*\)\s*[;{]?$|(?://|/\*|\*|#|--)"
    r"|.*[;{}]$)"
)
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_MOST_PROSE = 0.1
_MIN_LINES = 5


def code_only(messages: Sequence[Message]) -> str | None:
    """Told line by line; fenced code counts as code whatever it holds."""
    query = messages[0]["content"]
    plain = _FENCED.sub("", query)
    fenced = query.count("\n") - plain.count("\n")
    lines = [line for line in plain.splitlines() if line.strip()]
    code = sum(_CODE_LINE.match(line) is not None for line in lines)
    total = len(lines) + fenced
    if total < _MIN_LINES or (len(lines) - code) > _MOST_PROSE * total:
        return None
    return f"{code + fenced} of {total} lines are code"
