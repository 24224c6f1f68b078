"""The ShareGPT layout: ``{"id": …, "conversations": [{"from": "human", "value": …}, …]}``."""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import (
    Layout,
    Misfit,
    describe,
    has_speakers,
    id_under,
    speaker_messages,
)

EXPECTED = '{"id": …, "conversations": [{"from": …, "value": …}, …]}'


def _looks_like(record: object) -> bool:
    turns = record.get("conversations") if isinstance(record, dict) else None
    return has_speakers(turns, "from", "value")


def _read(record: object) -> list[Message] | Misfit:
    turns = record.get("conversations") if isinstance(record, dict) else None
    if not isinstance(turns, list):
        return Misfit(f"found {describe(record)}, expected {EXPECTED}")
    return speaker_messages(turns, "conversations", "from", "value")


SHAREGPT = Layout("sharegpt", EXPECTED, _looks_like, id_under("id"), _read, splits_sessions=True)
