"""OpenAI's layout, also TRL's: ``{"messages": [{"role": "user", "content": …}, …]}``."""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import (
    Layout,
    Misfit,
    describe,
    has_speakers,
    id_under,
    role_messages,
)

EXPECTED = '{"messages": [{"role": …, "content": …}, …]}'


def _looks_like(record: object) -> bool:
    return isinstance(record, dict) and has_speakers(record.get("messages"), "role", "content")


def _read(record: object) -> list[Message] | Misfit:
    turns = record.get("messages") if isinstance(record, dict) else None
    if not isinstance(turns, list):
        return Misfit(f"found {describe(record)}, expected {EXPECTED}")
    return role_messages(turns, "messages")


OPENAI_MESSAGES = Layout(
    "openai_messages", EXPECTED, _looks_like, id_under("id", "conversation_id", "prompt_id"), _read
)
