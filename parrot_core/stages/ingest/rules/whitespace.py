"""Text rule: no space around a message nor at the ends of lines, few empty lines in a row."""

import re

from parrot_core.stages.ingest.rules.gate import SPACE, Gate

_EMPTY_LINES = re.compile(r"\n{4,}")

GATE = Gate((rf"^{SPACE}", rf"{SPACE}$", r"[ \t]\n", r"\n\n\n\n"))


def whitespace(text: str, role: str) -> str:
    """At most two empty lines in a row."""
    text = text.strip()
    if " \n" in text or "\t\n" in text:
        text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    return _EMPTY_LINES.sub("\n\n\n", text) if "\n\n\n\n" in text else text
