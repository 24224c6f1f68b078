"""The ShareGPT layout: ``{"id": …, "conversations": [{"from": "human", "value": …}, …]}``."""

from parrot_core.stages.ingest.layouts.layout import Layout, id_under
from parrot_core.stages.ingest.layouts.turns import LIST_KEYS, has_turns, list_under

EXPECTED = '{"id": …, "conversations": [{"from": …, "value": …}, …]}'

LAYOUT = Layout(
    "sharegpt",
    EXPECTED,
    lambda record: has_turns(record, ("conversations",), "from", "value"),
    id_under("id"),
    list_under(("conversations", *LIST_KEYS), EXPECTED),
    splits_sessions=True,
    rank=2,
)
