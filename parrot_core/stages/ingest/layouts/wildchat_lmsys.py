"""WildChat's and LMSYS-Chat-1M's layout: ``{"conversation": [{"role": …, "content": …}, …]}``.

The id is ``conversation_hash`` (WildChat-1M and later) or ``conversation_id`` (the first WildChat,
LMSYS-Chat-1M). What else stands in a message (``language``, ``toxic``, ``redacted`` …) isn't read.
"""

from parrot_core.stages.ingest.layouts.layout import Layout, id_under
from parrot_core.stages.ingest.layouts.turns import has_turns, list_under

EXPECTED = '{"conversation_id": …, "conversation": [{"role": …, "content": …}, …]}'

LAYOUT = Layout(
    "wildchat_lmsys",
    EXPECTED,
    lambda record: has_turns(record, ("conversation",), "role", "content"),
    id_under("conversation_hash", "conversation_id", "id"),
    list_under(("conversation",), EXPECTED),
    rank=2,
)
