"""The ShareGPT layout: ``{"id": …, "conversations": [{"from": "human", "value": …}, …]}``."""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, Reading, id_under, misfit
from parrot_core.stages.ingest.layouts.turns import LIST_KEYS, find_list, has_turns, turn_messages

EXPECTED = '{"id": …, "conversations": [{"from": …, "value": …}, …]}'


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    found = find_list(record, ("conversations", *LIST_KEYS))
    return turn_messages(record, found[1], found[0], reading) if found else misfit(record, EXPECTED)


LAYOUT = Layout(
    "sharegpt",
    EXPECTED,
    lambda record: has_turns(record, ("conversations",), "from", "value"),
    id_under("id"),
    _parse,
    splits_sessions=True,
    rank=2,
)
