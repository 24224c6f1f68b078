"""Check: an opening query that is pasted code and no request."""

import re
from collections.abc import Sequence

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.rules.rule import ChosenCheck

_COMMENT = re.compile(r"\s*(?://|/\*|\*|#|--)")
_KEYWORD = re.compile(
    r"\s*(?:</?\w|(?:import|from|def|class|return|if|for|while|else|elif|public|private|static|void"
    r"|const|let|var|function|using|namespace|package|pragma|contract|export|struct|interface"
    r"|select|insert|@\w+)\b)"
)
_CODE_LINE = re.compile(
    r"\s*(?:[{}()\[\];,]+$|[\w.\[\]]+\s*[-+*/|&]?=\s*\S|[\w.]+\(.*\)\s*[;{]?$|.*[;{}]$)"
)
_REQUEST = re.compile(r"(?:[A-Za-z]+,? ){3}[A-Za-z]{2,}")
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{2,}")
_PROSE_WORDS = 3
_MIN_LINES = 5
_LEAST_CODE = 0.5


def code_only(messages: Sequence[Message]) -> str | None:
    """Told line by line: fenced code is code, any other line of a few words is a request."""
    query = messages[0]["content"]
    total = sum(bool(line.strip()) for line in query.splitlines())
    lines = [line for line in _FENCED.sub("", query).splitlines() if line.strip()]
    if total < _MIN_LINES or any(_asks(line) for line in lines):
        return None
    code = total - len(lines)
    code += sum(bool(_KEYWORD.match(line) or _CODE_LINE.match(line)) for line in lines)
    return f"{code} of {total} lines are code" if code >= _LEAST_CODE * total else None


def _asks(line: str) -> bool:
    if _KEYWORD.match(line) or _COMMENT.match(line):
        return False
    if _REQUEST.search(line):
        return True
    return not _CODE_LINE.match(line) and len(_WORD.findall(line)) >= _PROSE_WORDS


CHECK = ChosenCheck(code_only, "the session opens with pasted code and no request")
