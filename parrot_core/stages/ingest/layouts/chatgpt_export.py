"""ChatGPT's own export: a conversation is a tree, ``mapping``, and the leaf last looked at.

What is read is the branch from the root to ``current_node``. Messages that the page doesn't show
(the user's profile, hidden system messages, thoughts) are left out.
"""

from collections.abc import Iterator

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, Reading, id_under, misfit
from parrot_core.stages.ingest.layouts.turns import turn_messages

EXPECTED = '{"title": …, "mapping": {"…": {"message": …, "parent": …}}, "current_node": …}'
_NOT_SAID = ("user_editable_context", "thoughts", "reasoning_recap", "model_editable_context")
_TOOLS_CONTENT = ("code", "execution_output", "tether_quote", "tether_browsing_display")


def _looks_like(record: object) -> bool:
    return isinstance(record, dict) and isinstance(record.get("mapping"), dict)


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    mapping = record.get("mapping") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(mapping, dict):
        return misfit(record, EXPECTED)
    leaf = record.get("current_node")
    if not isinstance(leaf, str) or leaf not in mapping:
        leaf = _last_leaf(mapping)
        if leaf is None:
            return Misfit("mapping: found no message without children, so no branch to read")
    branch = list(_branch(mapping, leaf))
    turns = [turn for node in reversed(branch) if (turn := _turn(node)) is not None]
    return turn_messages(None, turns, "branch", reading)


def _last_leaf(mapping: dict[str, object]) -> str | None:
    leaves = [key for key, node in mapping.items() if isinstance(node, dict)]
    return next((key for key in reversed(leaves) if not _node(mapping, key).get("children")), None)


def _branch(mapping: dict[str, object], leaf: str) -> Iterator[dict[str, object]]:
    """Nodes from the leaf to the root; each once, whatever their parents say."""
    seen: set[str] = set()
    place: object = leaf
    while isinstance(place, str) and place not in seen:
        seen.add(place)
        node = _node(mapping, place)
        yield node
        place = node.get("parent")


def _node(mapping: dict[str, object], key: str) -> dict[str, object]:
    node = mapping.get(key)
    return node if isinstance(node, dict) else {}


def _turn(node: dict[str, object]) -> dict[str, object] | None:
    message = node.get("message")
    if not isinstance(message, dict):
        return None
    content, metadata = message.get("content"), message.get("metadata")
    kind = content.get("content_type") if isinstance(content, dict) else None
    hidden = isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation")
    if hidden or kind in _NOT_SAID or content is None:
        return None
    if kind in _TOOLS_CONTENT or message.get("recipient", "all") not in ("all", None):
        return {"role": "tool", "content": _text(content)}
    return {"role": message.get("author"), "content": content}


def _text(content: object) -> str:
    text = content.get("text", content.get("result", "")) if isinstance(content, dict) else ""
    return text if isinstance(text, str) else ""


LAYOUT = Layout(
    "chatgpt_export", EXPECTED, _looks_like, id_under("conversation_id", "id"), _parse, rank=5
)
