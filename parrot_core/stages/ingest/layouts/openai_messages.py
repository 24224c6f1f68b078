"""OpenAI's layout, also TRL's: ``{"messages": [{"role": "user", "content": …}, …]}``."""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, Reading, id_under, misfit
from parrot_core.stages.ingest.layouts.turns import LIST_KEYS, find_list, has_turns, turn_messages

EXPECTED = '{"messages": [{"role": …, "content": …}, …]}'


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    found = find_list(record, ("messages", *LIST_KEYS))
    return turn_messages(record, found[1], found[0], reading) if found else misfit(record, EXPECTED)


LAYOUT = Layout(
    "openai_messages",
    EXPECTED,
    lambda record: has_turns(record, ("messages",), "role", "content"),
    id_under("id", "conversation_id", "prompt_id"),
    _parse,
    splits_sessions=True,
    rank=2,
)
