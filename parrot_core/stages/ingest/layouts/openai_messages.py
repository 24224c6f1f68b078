"""OpenAI's layout, also TRL's: ``{"messages": [{"role": "user", "content": …}, …]}``."""

from parrot_core.stages.ingest.layouts.layout import Layout, id_under
from parrot_core.stages.ingest.layouts.turns import LIST_KEYS, has_turns, list_under

EXPECTED = '{"messages": [{"role": …, "content": …}, …]}'

LAYOUT = Layout(
    "openai_messages",
    EXPECTED,
    lambda record: has_turns(record, ("messages",), "role", "content"),
    id_under("id", "conversation_id", "prompt_id"),
    list_under(("messages", *LIST_KEYS), EXPECTED),
    splits_sessions=True,
    rank=2,
)
