"""The same conversation as a record of each layout, and in the other ways people write it."""

import json
from typing import Any

TEXTS = ["What is Rust?", "A language.", "And *its* borrow checker?", "It checks loans."]
ROLES = ["user", "assistant", "user", "assistant"]
MESSAGES = [{"role": role, "content": text} for role, text in zip(ROLES, TEXTS, strict=True)]
SHAREGPT = [
    {"from": speaker, "value": text}
    for speaker, text in zip(["human", "gpt", "User", " ChatGPT "], TEXTS, strict=True)
]
_BAIZE = (
    "The conversation between human and AI assistant.\n[|Human|] What is Rust?\n[|AI|] A language."
    "\n[|Human|] And *its* borrow checker?\n[|AI|] It checks loans.\n[|Human|] "
)
_TRANSCRIPT = "".join(
    f"\n\n{speaker}: {text}"
    for speaker, text in zip(["Human", "Assistant"] * 2, TEXTS, strict=True)
)
_CHATML = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in MESSAGES)


def _node(id: str, parent: str | None, children: list[str], **message: Any) -> dict[str, Any]:
    return {"id": id, "parent": parent, "children": children, "message": message or None}


def _said(role: str, text: str) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]}
    return {"author": {"role": role}, "content": content, "recipient": "all"}


def chatgpt_export(branch: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A tree with a branch that was left beside the one that was gone on with."""
    said = branch or [_said(m["role"], m["content"]) for m in MESSAGES]
    hidden = _said("system", "") | {"metadata": {"is_visually_hidden_from_conversation": True}}
    mapping = {
        "root": _node("root", None, ["s"]),
        "s": _node("s", "root", ["m0"], **hidden),
        "other": _node("other", "m0", [], **_said("assistant", "An answer that was thrown away.")),
    }
    for place, message in enumerate(said):
        parent = f"m{place - 1}" if place else "s"
        children = [f"m{place + 1}"] if place + 1 < len(said) else []
        mapping[f"m{place}"] = _node(f"m{place}", parent, children, **message)
    leaf = f"m{len(said) - 1}"
    return {"title": "Rust", "mapping": mapping, "current_node": leaf, "conversation_id": "c1"}


def oasst_tree() -> dict[str, Any]:
    """A tree of two paths, the worse reply first."""

    def node(id: str, role: str, text: str, rank: int | None, *replies: Any) -> dict[str, Any]:
        known = {"message_id": id, "role": role, "text": text, "rank": rank}
        return {**known, "lang": "en", "replies": list(replies)}

    last = node("m4", "assistant", TEXTS[3], 0)
    follow_up = node("m3", "prompter", TEXTS[2], None, last)
    worse = node("m5", "assistant", "Oxidised iron.", 1)
    better = node("m2", "assistant", TEXTS[1], 0, follow_up)
    return {
        "message_tree_id": "t1",
        "prompt": node("t1", "prompter", TEXTS[0], None, worse, better),
    }


def oasst_rows() -> list[dict[str, Any]]:
    """The same tree as the Hub has it, one message a row."""
    rows = []

    def walk(node: dict[str, Any], parent: str | None) -> None:
        known = {key: value for key, value in node.items() if key != "replies"}
        rows.append({**known, "parent_id": parent, "message_tree_id": "t1"})
        for reply in node["replies"]:
            walk(reply, node["message_id"])

    walk(oasst_tree()["prompt"], None)
    return rows


Example = tuple[str, str | None, Any]

EXAMPLES: list[Example] = [
    ("sharegpt", "QWJhYvA_0", {"id": "QWJhYvA_0", "conversations": SHAREGPT}),
    ("ultrachat", "17", {"id": "17", "data": TEXTS}),
    ("ultrachat", "f0e3", {"prompt": TEXTS[0], "prompt_id": "f0e3", "messages": MESSAGES}),
    ("openai_messages", None, {"messages": MESSAGES}),
    (
        "openai_messages",
        "7",
        {
            "id": 7,
            "messages": [
                {"role": m["role"], "content": [{"type": "text", "text": m["content"]}]}
                for m in MESSAGES
            ],
        },
    ),
    (
        "wildchat_lmsys",
        "9c1f",
        {
            "conversation_hash": "9c1f",
            "model": "gpt-4",
            "conversation": [{**m, "language": "English", "toxic": False} for m in MESSAGES],
            "turn": 2,
        },
    ),
    ("wildchat_lmsys", "ab", {"conversation_id": "ab", "conversation": MESSAGES}),
    ("baize", None, {"topic": "Rust", "input": _BAIZE}),
    ("turn_list", "x1", {"id": "x1", "conversations": MESSAGES}),
    ("turn_list", "x2", {"id": "x2", "messages": SHAREGPT}),
    ("turn_list", "x3", {"id": "x3", "dialogue": MESSAGES}),
    (
        "turn_list",
        "x4",
        {
            "id": "x4",
            "turns": [{"speaker": m["role"], "text": m["content"]} for m in MESSAGES],
        },
    ),
    (
        "turn_list",
        "x5",
        {
            "id": "x5",
            "conversation": [
                {"human": TEXTS[0], "assistant": TEXTS[1]},
                {"human": TEXTS[2], "assistant": TEXTS[3]},
            ],
        },
    ),
    ("turn_list", None, {"chat": [TEXTS[:2], TEXTS[2:]]}),
    ("turn_list", None, MESSAGES),
    ("sharegpt", "j1", {"id": "j1", "conversations": json.dumps(SHAREGPT)}),
    ("sharegpt", "j2", {"id": "j2", "conversations": repr(SHAREGPT)}),
    ("openai_messages", None, {"messages": json.dumps(MESSAGES)}),
    ("openai_messages", None, {"messages": {"role": ROLES, "content": TEXTS}}),
    (
        "alpaca",
        None,
        {"instruction": TEXTS[2], "input": "", "output": TEXTS[3], "history": [TEXTS[:2]]},
    ),
    ("prompt_completion", None, {"prompt": MESSAGES[:3], "completion": MESSAGES[3:]}),
    ("prompt_completion", None, {"chosen": MESSAGES, "rejected": MESSAGES[:3]}),
    ("prompt_completion", None, {"prompt": TEXTS[0], "chosen": MESSAGES, "rejected": MESSAGES}),
    ("hh_rlhf", None, {"chosen": _TRANSCRIPT, "rejected": _TRANSCRIPT}),
    ("chatml", None, {"text": _CHATML + "<|im_start|>assistant\n"}),
    ("chatgpt_export", "c1", chatgpt_export()),
    ("oasst", "t1", oasst_tree()),
]
"""Name of the layout, the record's own id, the record; all say ``MESSAGES``."""
