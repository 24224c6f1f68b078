"""What a cleaning rule is: three kinds, all plain functions, each named as the function is."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parrot_core.engines.types import Message
from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.rules.gate import Gate

Messages = list[Message]
NO_GATE = Gate()
"""Lets every text through."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why something is put aside; ``reason`` is one of ``stages.reasons.REASONS``."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChosenRule:
    """A text rule that recipes choose by its function's name; its file calls it ``RULE``."""

    apply: "TextRule"
    gate: Gate


@dataclass(frozen=True, slots=True)
class ChosenCheck:
    """A check that recipes choose by its function's name; its file calls it ``CHECK``."""

    find: "Check"
    reason: str
    """What a reject for it means, for whoever reads the rejects."""
    gate: Gate = NO_GATE


TextRule = Callable[[str, str], str]
"""``(text, role)`` to the text as it should be: changes one message, never drops it."""

SessionRule = Callable[[Messages, Ingest], Messages | Rejection]
"""A session's messages to those that stay, or why the session can't."""

Check = Callable[[Sequence[Message]], str | None]
"""What a clean session holds that somebody may not want, in a few words; None when it's free of it.

The recipe decides whether that is a flag on the row or a reject.
"""

CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
"""Code in Markdown, fenced or within a line."""


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change a text's prose, and leave its code as it is."""
    parts: list[str] = []
    end = 0
    for code in CODE.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(text[end:])])
