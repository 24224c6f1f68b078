"""Every layout is recognised from its records and read into the same messages."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.recipe import LayoutName
from parrot_core.stages.ingest.layouts import LAYOUTS, Misfit, describe, most_likely

TEXTS = ["What is Rust?", "A language.", "And *its* borrow checker?", "It checks loans."]
ROLES = ["user", "assistant", "user", "assistant"]
MESSAGES = [{"role": r, "content": t} for r, t in zip(ROLES, TEXTS, strict=True)]

_BAIZE = (
    "The conversation between human and AI assistant.\n[|Human|] What is Rust?\n[|AI|] A language."
    "\n[|Human|] And *its* borrow checker?\n[|AI|] It checks loans.\n[|Human|] "
)
RECORDS: list[tuple[LayoutName, str, dict[str, Any]]] = [
    (
        "sharegpt",
        "QWJhYvA_0",
        {
            "id": "QWJhYvA_0",
            "conversations": [
                {"from": speaker, "value": text}
                for speaker, text in zip(["human", "gpt", "User", " ChatGPT "], TEXTS, strict=True)
            ],
        },
    ),
    ("ultrachat", "17", {"id": "17", "data": TEXTS}),
    (
        "ultrachat",
        "f0e37e9f",
        {"prompt": TEXTS[0], "prompt_id": "f0e37e9f", "messages": MESSAGES},
    ),
    ("openai_messages", "None", {"messages": MESSAGES}),
    (
        "openai_messages",
        "7",
        {
            "id": 7,
            "messages": [
                {"role": r, "content": [{"type": "text", "text": t}]}
                for r, t in zip(ROLES, TEXTS, strict=True)
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
            "language": "English",
        },
    ),
    ("wildchat_lmsys", "ab", {"conversation_id": "ab", "conversation": MESSAGES}),
    ("baize", "None", {"topic": "Rust", "input": _BAIZE}),
]


@pytest.mark.parametrize(("name", "record_id", "record"), RECORDS)
def test_a_record_is_recognised_and_read(
    name: LayoutName, record_id: str, record: dict[str, Any]
) -> None:
    layout = most_likely([record, {"other": 1}])
    assert layout is LAYOUTS[name]
    messages = layout.read(record)
    assert not isinstance(messages, Misfit)
    assert [{**m, "content": m["content"].strip()} for m in messages] == MESSAGES
    assert str(layout.record_id(record)) == record_id


def test_the_layout_of_most_records_wins() -> None:
    by_name = {name: record for name, _, record in RECORDS}
    mixed = [by_name["baize"], by_name["wildchat_lmsys"], by_name["wildchat_lmsys"]]
    assert most_likely(mixed) is LAYOUTS["wildchat_lmsys"]
    assert most_likely([{"prompt": "a", "response": "b"}, 3, None]) is None


def test_the_recipe_names_every_layout() -> None:
    assert set(get_args(LayoutName)) == set(LAYOUTS)
    assert all(name == layout.name for name, layout in LAYOUTS.items())
    folder = Path(__file__).parents[4] / "parrot_core" / "stages" / "ingest" / "layouts"
    files = {path.stem for path in folder.glob("*.py")}
    assert files == {*LAYOUTS, "layout", "__init__"}


@pytest.mark.parametrize(
    ("name", "record", "why"),
    [
        ("sharegpt", {"conversations": [{"from": "human"}]}, "expected text in 'from' and 'value'"),
        ("sharegpt", {"messages": []}, "found an object with 'messages', expected"),
        ("ultrachat", {"data": ["a", None]}, "data[1]: expected a text"),
        ("openai_messages", {"messages": [{"role": "tool", "content": "x"}]}, "speaker 'tool'"),
        ("openai_messages", {"messages": [{"role": "user", "content": None}]}, "expected text in"),
        (
            "openai_messages",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "messages[0]: a content part that isn't text",
        ),
        ("wildchat_lmsys", {"conversation": None}, "found an object with 'conversation'"),
        ("baize", {"input": "no markers"}, "found no marker"),
    ],
)
def test_a_record_that_cant_be_read_says_why(name: LayoutName, record: object, why: str) -> None:
    read = LAYOUTS[name].read(record)
    assert isinstance(read, Misfit)
    assert why in read.why


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "conversations",
                    "conversation",
                    "messages",
                    "data",
                    "input",
                    "role",
                    "content",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(record=_JSON)
def test_no_record_makes_a_layout_stumble(record: object) -> None:
    for layout in LAYOUTS.values():
        assert isinstance(layout.looks_like(record), bool)
        assert layout.record_id(record) is None or layout.record_id(record)
        read = layout.read(record)
        assert isinstance(read, Misfit) or all(isinstance(m["content"], str) for m in read)
    assert describe(record)
