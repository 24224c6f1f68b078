"""WildChat's and LMSYS-Chat-1M's layout: ``{"conversation": [{"role": …, "content": …}, …]}``.

The id is ``conversation_hash`` (WildChat-1M and later) or ``conversation_id`` (the first WildChat,
LMSYS-Chat-1M). What else stands in a message (``language``, ``toxic``, ``redacted`` …) isn't read.
"""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import (
    Layout,
    Misfit,
    describe,
    has_speakers,
    id_under,
    role_messages,
)

EXPECTED = '{"conversation_id": …, "conversation": [{"role": …, "content": …}, …]}'


def _looks_like(record: object) -> bool:
    turns = record.get("conversation") if isinstance(record, dict) else None
    return has_speakers(turns, "role", "content")


def _read(record: object) -> list[Message] | Misfit:
    turns = record.get("conversation") if isinstance(record, dict) else None
    if not isinstance(turns, list):
        return Misfit(f"found {describe(record)}, expected {EXPECTED}")
    return role_messages(turns, "conversation")


WILDCHAT_LMSYS = Layout(
    "wildchat_lmsys",
    EXPECTED,
    _looks_like,
    id_under("conversation_hash", "conversation_id", "id"),
    _read,
)
