"""A list of turns under any of the usual keys, with any of the usual keys inside.

``messages``, ``conversations``, ``dialog``, ``turns`` …, holding ``role`` and ``content``, ``from``
and ``value``, ``speaker`` and ``text`` …; or objects with both a query and its answer; or pairs of
texts. The list may be JSON text, or an object of lists; a record may be the list itself.
"""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, Reading, id_under, misfit
from parrot_core.stages.ingest.layouts.turns import LIST_KEYS, find_list, has_turns, turn_messages

EXPECTED = '{"dialog": [{"role" or "from": …, "content" or "value": …}, …]}'


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    found = find_list(record)
    return turn_messages(record, found[1], found[0], reading) if found else misfit(record, EXPECTED)


LAYOUT = Layout(
    "turn_list",
    EXPECTED,
    lambda record: has_turns(record, LIST_KEYS),
    id_under("id", "conversation_id", "dialog_id", "dialogue_id", "uuid"),
    _parse,
    splits_sessions=True,
)
