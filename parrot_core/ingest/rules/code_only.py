"""Check: an opening query that is pasted code and no request."""

import re
from collections.abc import Sequence

from parrot_core.engines.types import Message

_KEYWORD_OR_COMMENT = re.compile(
    r"\s*(?:</?\w|//|/\*|\*|#|--|(?:import|from|def|class|return|if|for|while|else|elif|public|private|"
    r"static|void|const|let|var|function|using|namespace|package|pragma|contract|export|struct"
    r"|interface|select|insert|@\w+)\b)"
)
_CODE_LINE = re.compile(
    r"\s*(?:[{}()\[\];,]+$|[\w.\[\]]+\s*[-+*/|&]?=\s*\S|[\w.]+\(.*\)\s*[;{]?$|.*[;{}]$)"
)
_REQUEST = re.compile(r"(?:[A-Za-z]+,? ){3}[A-Za-z]{2,}")
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{2,}")
_PROSE_WORDS = 3
_MIN_LINES = 5


def code_only(messages: Sequence[Message]) -> str | None:
    """Told line by line: fenced code is code, any other line of a few words is a request."""
    query = messages[0]["content"]
    plain = _FENCED.sub("", query)
    total = sum(bool(line.strip()) for line in query.splitlines())
    for line in plain.splitlines():
        if not _KEYWORD_OR_COMMENT.match(line) and _asks(line):
            return None
    return f"{total} lines and no request" if total >= _MIN_LINES else None


def _asks(line: str) -> bool:
    if _REQUEST.search(line):
        return True
    return not _CODE_LINE.match(line) and len(_WORD.findall(line)) >= _PROSE_WORDS
