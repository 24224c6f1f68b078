"""WildChat's and LMSYS-Chat-1M's layout: ``{"conversation": [{"role": …, "content": …}, …]}``.

The id is ``conversation_hash`` (WildChat-1M and later) or ``conversation_id`` (the first WildChat,
LMSYS-Chat-1M). What else stands in a message (``language``, ``toxic``, ``redacted`` …) isn't read.
"""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, Reading, id_under, misfit
from parrot_core.stages.ingest.layouts.turns import find_list, has_turns, turn_messages

EXPECTED = '{"conversation_id": …, "conversation": [{"role": …, "content": …}, …]}'


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    found = find_list(record, ("conversation",))
    return turn_messages(record, found[1], found[0], reading) if found else misfit(record, EXPECTED)


LAYOUT = Layout(
    "wildchat_lmsys",
    EXPECTED,
    lambda record: has_turns(record, ("conversation",), "role", "content"),
    id_under("conversation_hash", "conversation_id", "id"),
    _parse,
    rank=2,
)
