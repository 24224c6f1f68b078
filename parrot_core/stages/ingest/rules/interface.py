"""Text rule: what a copied prompt brought along from the page: buttons' labels, pagers."""

import re

from parrot_core.stages.ingest.rules.gate import SPACE, Gate

_LABELS = (
    r"(?:Share Prompt|(?P<page>[1-9]) / (?P<pages>[1-9])|Regenerate response|Stop generating"
    r"|Model: (?:Default|Legacy|GPT)[^\n]{0,30})"
)
_AT_THE_END = re.compile(rf"\s*{_LABELS}$")
_END_CHARS = 80
_COPY_CODE = re.compile(r"^(?:[\w+#.-]{1,20}\n+)?Copy code\n", re.MULTILINE)

GATE = Gate(("Copy code", f"{_LABELS}{SPACE}*$"), "user")


def interface(text: str, role: str) -> str:
    """Only in user messages: an answer that ends in "1 / 2" is arithmetic."""
    if role != "user":
        return text
    if "Copy code" in text:
        text = _COPY_CODE.sub("", text)
    while (shorter := _without_residue(text)) != text:
        text = shorter
    return text


def _without_residue(text: str) -> str:
    length = len(text.rstrip())
    found = _AT_THE_END.search(text, max(0, length - _END_CHARS), length)
    if found is None or (found["page"] or "") > (found["pages"] or ""):
        return text
    return text[: found.start()]
