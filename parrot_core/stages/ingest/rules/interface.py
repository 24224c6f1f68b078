"""Text rule: what a copied prompt brought along from the page: buttons' labels, pagers."""

import re

from parrot_core.stages.ingest.rules.gate import SPACE, Gate
from parrot_core.stages.ingest.rules.rule import ChosenRule

_FIRST_LABELS = (
    r"(?:Share Prompt|(?P<page>[1-9]) / (?P<pages>[1-9])|Regenerate response|Stop generating"
    r"|Model: (?:Default|Legacy|GPT)[^\n]{0,30})"
)
_LABELS = (
    rf"(?:{_FIRST_LABELS}|Continue generating"
    r"|This content may violate our content policy\.[^\n]{0,200}"
    r"|ChatGPT (?:can make mistakes|may produce inaccurate)[^\n]{0,120})"
)
_AT_THE_END = re.compile(rf"\s*{_LABELS}$")
_END_CHARS = 280
_COPY_CODE = re.compile(
    r"^(?:[\w+#.-]{1,20}\n+)?Copy code\n|^(?:[a-z+#]{1,15})?Copy code(?=\S)", re.MULTILINE
)
_PAGER_LINE = re.compile(r"\n(?P<page>[1-9]) / (?P<pages>[1-9])\n\n")

GATE = Gate(
    (
        "Copy code|Continue generating|content may violate our|ChatGPT (?:can make|may pro)",
        r"\n[1-9] / [1-9]\n\n",
        f"{_FIRST_LABELS}{SPACE}*$",
    ),
    "user",
)


def interface(text: str, role: str) -> str:
    """Only in user messages: an answer that ends in "1 / 2" is arithmetic."""
    if role != "user":
        return text
    if "Copy code" in text:
        text = _COPY_CODE.sub("", text)
    if "\n\n" in text:
        text = _PAGER_LINE.sub(_pager, text)
    while (shorter := _without_residue(text)) != text:
        text = shorter
    return text


def _pager(found: re.Match[str]) -> str:
    return found[0] if found["page"] > found["pages"] else "\n\n"


def _without_residue(text: str) -> str:
    length = len(text.rstrip())
    found = _AT_THE_END.search(text, max(0, length - _END_CHARS), length)
    if found is None or (found["page"] or "") > (found["pages"] or ""):
        return text
    return text[: found.start()]


RULE = ChosenRule(interface, GATE)
