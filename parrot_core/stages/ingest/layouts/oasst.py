"""OpenAssistant's trees of messages: one a record, or one message a row.

``{"message_tree_id": …, "prompt": {"text": …, "role": "prompter", "replies": [ … ]}}`` in the
exports of trees, and rows with ``message_id``, ``parent_id``, ``text``, ``role`` and ``rank`` in
the Hub's ``OpenAssistant/oasst1`` and ``oasst2`` (Köpf et al. 2023). A session is a path from the
prompt to a leaf: each path, or the best, which takes the best-ranked reply at every fork.
"""

from collections.abc import Iterator, Mapping, Sequence

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, Reading, id_under, misfit
from parrot_core.stages.ingest.layouts.turns import turn_messages
from parrot_core.stages.ingest.parsing import BadRecord

EXPECTED = '{"message_tree_id": …, "prompt": {"text": …, "role": …, "replies": […]}}'
_PATH = "path of an oasst tree"
_MOST_DEEP = 500
_MOST_PATHS = 10_000

Node = Mapping[str, object]


def _is_row(record: object) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("message_tree_id"), str)
        and {"message_id", "parent_id", "text", "role"} <= record.keys()
    )


def _looks_like(record: object) -> bool:
    if not isinstance(record, dict):
        return False
    prompt = record.get("prompt")
    is_tree = isinstance(prompt, dict) and {"text", "role"} <= prompt.keys()
    return is_tree or _is_row(record)


def _gather(records: Iterator[object]) -> Iterator[object]:
    """Trees of the rows that stand together; what is a tree already goes through."""
    rows: list[dict[str, object]] = []
    for record in records:
        is_row = _is_row(record)
        if rows and not (is_row and _tree_id(record) == _tree_id(rows[0])):
            yield _tree(rows)
            rows = []
        if is_row and isinstance(record, dict):
            rows.append(record)
        else:
            yield record
    if rows:
        yield _tree(rows)


def _tree_id(record: object) -> object:
    return record.get("message_tree_id") if isinstance(record, dict) else None


def _tree(rows: Sequence[dict[str, object]]) -> object:
    """One tree of rows in any order; a BadRecord where none of them is its prompt."""
    nodes = {row["message_id"]: {**row, "replies": []} for row in rows if _id(row) is not None}
    roots = []
    for node in nodes.values():
        parent = nodes.get(node["parent_id"]) if isinstance(node["parent_id"], str) else None
        if parent is None:
            roots.append(node)
        elif isinstance(replies := parent["replies"], list):
            replies.append(node)
    first = [node for node in roots if node["parent_id"] is None]
    if not first:
        return BadRecord(str(rows[0])[:1000], f"tree {_tree_id(rows[0])}: its prompt isn't there")
    return {"message_tree_id": _tree_id(rows[0]), "prompt": first[0]}


def _id(row: Node) -> str | None:
    found = row.get("message_id")
    return found if isinstance(found, str) else None


def _unfold(record: object, reading: Reading) -> Iterator[object]:
    """Its paths, each a record with an id of its own; the record itself where it has none."""
    prompt = record.get("prompt") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(prompt, dict):
        yield record
        return
    tree = record.get("message_tree_id") or prompt.get("message_id")
    for number, path in enumerate(_paths(prompt, best=reading.paths == "best")):
        if number == _MOST_PATHS:
            return
        name = tree if reading.paths == "best" else f"{tree}/{_id(path[-1]) or number}"
        yield {"id": name if tree else None, _PATH: path}


def _paths(prompt: Node, *, best: bool) -> Iterator[list[Node]]:
    """Paths from the prompt to the leaves, best replies first."""
    waiting: list[list[Node]] = [[prompt]]
    while waiting:
        path = waiting.pop()
        replies = sorted(_replies(path[-1]), key=_rank) if len(path) < _MOST_DEEP else []
        if replies:
            followed = replies[:1] if best else replies
            waiting += [[*path, reply] for reply in reversed(followed)]
        else:
            yield path


def _replies(node: Node) -> list[Node]:
    replies = node.get("replies")
    found = [r for r in replies if isinstance(r, dict)] if isinstance(replies, list) else []
    return [r for r in found if not r.get("deleted")]


def _rank(node: Node) -> float:
    rank = node.get("rank")
    return rank if isinstance(rank, (int, float)) else float("inf")


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    if isinstance(record, dict) and isinstance(path := record.get(_PATH), list):
        nodes = [node for node in path if isinstance(node, dict)]
        turns = [{"role": node.get("role"), "text": node.get("text")} for node in nodes]
        return turn_messages(None, turns, "path", reading)
    for path in _unfold(record, reading):
        return misfit(record, EXPECTED) if path is record else _parse(path, reading)
    return misfit(record, EXPECTED)


LAYOUT = Layout(
    "oasst",
    EXPECTED,
    _looks_like,
    id_under("id", "message_tree_id"),
    _parse,
    rank=5,
    unfold=_unfold,
    gather=_gather,
)
