"""What a cleaning rule is: three kinds, all plain functions, each named as the function is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parrot_core.engines.types import Message
from parrot_core.recipe import Ingest

Messages = list[Message]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why something is put aside; ``reason`` is one of ``schemas.REASONS``."""

    reason: str
    detail: str = ""


TextRule = Callable[[str, str], str]
"""``(text, role)`` to the text as it should be: changes one message, never drops it."""

SessionRule = Callable[[Messages, Ingest], Messages | Rejection]
"""A session's messages to those that stay, or why the session can't."""

Check = Callable[[Sequence[Message]], str | None]
"""What a clean session holds that somebody may not want, in a few words; None when it's free of it.

The recipe decides whether that is a flag on the row or a reject.
"""
