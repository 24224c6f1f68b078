"""A list of turns under any of the usual keys, with any of the usual keys inside.

``messages``, ``conversations``, ``dialog``, ``turns`` …, holding ``role`` and ``content``, ``from``
and ``value``, ``speaker`` and ``text`` …; or objects with both a query and its answer; or pairs of
texts. The list may be JSON text, or an object of lists; a record may be the list itself.
"""

from parrot_core.stages.ingest.layouts.layout import Layout, id_under
from parrot_core.stages.ingest.layouts.turns import LIST_KEYS, has_turns, list_under

EXPECTED = '{"dialog": [{"role" or "from": …, "content" or "value": …}, …]}'

LAYOUT = Layout(
    "turn_list",
    EXPECTED,
    lambda record: has_turns(record, LIST_KEYS),
    id_under("id", "conversation_id", "dialog_id", "dialogue_id", "uuid"),
    list_under(LIST_KEYS, EXPECTED),
    splits_sessions=True,
)
