"""Every layout is recognised from its records and read into the same messages."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.layouts import (
    LAYOUTS,
    Misfit,
    Reading,
    describe,
    most_likely,
    nearest,
    shape,
)
from tests.support.layout_examples import (
    EXAMPLES,
    MESSAGES,
    SHAREGPT,
    TEXTS,
    chatgpt_export,
    oasst_rows,
    oasst_tree,
)


def _plain(messages: object) -> list[dict[str, str]]:
    assert not isinstance(messages, Misfit), messages
    assert isinstance(messages, list)
    return [{**m, "content": m["content"].strip()} for m in messages]


@pytest.mark.parametrize(("name", "record_id", "record"), EXAMPLES)
def test_a_record_is_recognised_and_read(name: str, record_id: str | None, record: Any) -> None:
    layout = most_likely([record, {"other": 1}])
    assert layout is LAYOUTS[name]
    assert _plain(layout.read(record)) == MESSAGES
    assert layout.record_id(record) == record_id


def test_every_layout_has_an_example_and_a_line_in_the_docs() -> None:
    assert {name for name, _, _ in EXAMPLES} == set(LAYOUTS)
    docs = (Path(__file__).parents[5] / "docs" / "how-to" / "sources.md").read_text()
    for name, layout in LAYOUTS.items():
        assert name == layout.name
        assert f"| `{name}` | `{layout.expected.replace('|', chr(92) + '|')}`" in docs


def test_the_layout_of_most_records_wins() -> None:
    by_name = {name: record for name, _, record in EXAMPLES}
    mixed = [by_name["baize"], by_name["wildchat_lmsys"], by_name["wildchat_lmsys"]]
    assert most_likely(mixed) is LAYOUTS["wildchat_lmsys"]
    assert most_likely([{"one": "a", "two": "b"}, 3, None]) is None


@pytest.mark.parametrize(
    ("name", "record", "why"),
    [
        ("sharegpt", {"conversations": [{"from": "human"}]}, "expected text in 'from' and 'value'"),
        ("sharegpt", {"texts": []}, "found an object with 'texts', expected"),
        ("ultrachat", {"data": ["a", None]}, "data[1]: expected a text"),
        ("openai_messages", {"messages": [{"role": "boss", "content": "x"}]}, "speaker 'boss'"),
        ("openai_messages", {"messages": [{"role": "user", "content": None}]}, "expected text in"),
        (
            "openai_messages",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "messages[0]: a content part that isn't text",
        ),
        ("wildchat_lmsys", {"conversation": None}, "found an object with 'conversation'"),
        ("baize", {"input": "no markers"}, "found no marker"),
        ("alpaca", {"instruction": "x"}, "expected text in 'instruction' and 'output'"),
        ("hh_rlhf", {"chosen": "x"}, "found no transcript"),
        ("chatml", {"text": "x"}, "found no <|im_start|>"),
        ("chatgpt_export", {"mapping": {}}, "found no message"),
        ("oasst", {"prompt": "x"}, "found an object with 'prompt'"),
        ("prompt_completion", {"prompt": "x"}, "found an object with 'prompt'"),
    ],
)
def test_a_record_that_cant_be_read_says_why(name: str, record: object, why: str) -> None:
    read = LAYOUTS[name].read(record)
    assert isinstance(read, Misfit)
    assert why in read.why


def test_an_unknown_record_is_shown_by_its_shape_with_the_layout_that_comes_nearest() -> None:
    record = {"id": 1, "input": "a secret", "output": ["x"], "instruction": {"deep": [1]}}
    assert shape(record) == (
        '{"id": a number, "input": text, "output": [text, …], '
        '"instruction": {"deep": [a number, …]}}'
    )
    assert nearest(record) is LAYOUTS["alpaca"]


def test_speakers_of_the_recipe_are_known_in_whatever_case() -> None:
    turns = [{"speaker": s, "text": t} for s, t in zip(("Kunde", "AGENT") * 2, TEXTS, strict=True)]
    reading = Reading(speakers={"kunde": "user", "agent": "assistant"})
    layout = LAYOUTS["turn_list"]
    refused = layout.read({"dialog": turns})
    assert isinstance(refused, Misfit)
    assert "ingest.speakers" in refused.why
    assert layout.read({"dialog": turns}, reading) == MESSAGES
    assert Ingest(sources=("x",), speakers={"Kunde": "user"}).speakers == {"Kunde": "user"}


@pytest.mark.parametrize("key", ["system", "system_prompt"])
def test_a_system_prompt_beside_the_turns_comes_first(key: str) -> None:
    record = {key: "Be kind.", "conversations": SHAREGPT}
    read = LAYOUTS["sharegpt"].read(record)
    assert read == [{"role": "system", "content": "Be kind."}, *MESSAGES]


_CALL = [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
_TOOLS: list[list[dict[str, Any]]] = [
    [
        {"from": "human", "value": "Weather?"},
        {"from": "function_call", "value": '{"name": "weather"}'},
        {"from": "observation", "value": '{"rain": true}'},
        {"from": "gpt", "value": "It rains."},
    ],
    [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": _CALL},
        {"role": "tool", "tool_call_id": "1", "content": '{"rain": true}'},
        {"role": "assistant", "content": "It rains.", "tool_calls": None},
    ],
]


@pytest.mark.parametrize("turn", _TOOLS)
@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_turn_that_needs_a_tool_is_dropped_alone(turn: list[dict[str, Any]], at: int) -> None:
    plain: list[dict[str, Any]] = SHAREGPT if "from" in turn[0] else MESSAGES
    reading = Reading()
    layout = LAYOUTS["turn_list"]
    read = layout.read({"messages": [*plain[:at], *turn, *plain[at:]]}, reading)
    assert read == MESSAGES
    assert reading.counts == {"tool_messages": 2, "tool_turns_dropped": 1}
    alone = layout.read({"messages": turn})
    assert isinstance(alone, Misfit)
    assert "messages[1]" in alone.why
    assert "ingest.tool_turns" in alone.why


@pytest.mark.parametrize("turn", _TOOLS)
def test_tools_are_kept_as_text_if_the_recipe_says_so(turn: list[dict[str, Any]]) -> None:
    read = LAYOUTS["turn_list"].read({"messages": turn}, Reading(tools="text"))
    assert not isinstance(read, Misfit)
    assert [m["role"] for m in read] == ["user", "assistant", "assistant", "assistant"]
    assert "weather" in read[1]["content"]
    assert read[2]["content"] == '{"rain": true}'


def test_the_branch_that_was_gone_on_with_is_read_without_what_the_page_hides() -> None:
    read = LAYOUTS["chatgpt_export"].read(chatgpt_export())
    assert read == MESSAGES
    lost = chatgpt_export() | {"current_node": "gone"}
    assert LAYOUTS["chatgpt_export"].read(lost) == MESSAGES


def test_a_ring_of_parents_ends() -> None:
    ring = {"a": {"parent": "b", "message": None}, "b": {"parent": "a", "message": None}}
    assert LAYOUTS["chatgpt_export"].read({"mapping": ring, "current_node": "a"}) == []


def test_each_path_of_a_tree_is_a_session_or_the_best_one() -> None:
    layout = LAYOUTS["oasst"]
    assert layout.unfold is not None
    [best] = layout.unfold(oasst_tree(), Reading())
    assert layout.read(best) == MESSAGES
    both = list(layout.unfold(oasst_tree(), Reading(paths="all")))
    assert [layout.record_id(path) for path in both] == ["t1/m4", "t1/m5"]
    assert layout.read(both[1])[1]["content"] == "Oxidised iron."  # type: ignore[index]


def test_rows_of_single_messages_are_put_together_to_trees() -> None:
    layout = LAYOUTS["oasst"]
    assert layout.gather is not None
    other = [{**row, "message_tree_id": "t2"} for row in oasst_rows()]
    first, orphans = layout.gather(iter([*reversed(oasst_rows()), *other[1:]]))
    assert layout.read(first) == MESSAGES
    assert "its prompt isn't there" in orphans.why  # type: ignore[attr-defined]


_KEYS = (
    *("id", "conversations", "conversation", "messages", "data", "input", "role", "content"),
    *("from", "value", "text", "mapping", "current_node", "parent", "message", "author", "parts"),
    *("prompt", "completion", "chosen", "instruction", "output", "history", "replies", "rank"),
    *("message_id", "parent_id", "message_tree_id", "tool_calls", "system", "turns", "human"),
)
_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_ODD = st.sampled_from(
    (
        *("user", "gpt", "tool", "\n\nHuman: x\n\nAssistant: y", "<|im_start|>user\nx"),
        *("[|Human|]", "[", "[]", '[{"role": "user"}]', "[{'from': 1}]", "[" * 3000, "\ud800"),
    )
)
_JSON = st.recursive(
    _VALUES | _ODD,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=300)
@given(record=_JSON)
def test_no_record_makes_a_layout_stumble(record: object) -> None:
    for reading in (Reading(), Reading(tools="text", paths="all")):
        for layout in LAYOUTS.values():
            assert isinstance(layout.looks_like(record), bool)
            assert layout.record_id(record) is None or layout.record_id(record)
            gathered = layout.gather(iter([record])) if layout.gather else [record]
            for one in gathered:
                for path in layout.unfold(one, reading) if layout.unfold else [one]:
                    read = layout.read(path, reading)
                    assert isinstance(read, Misfit) or all(
                        isinstance(m["content"], str) for m in read
                    )
    assert describe(record)
    assert len(shape(record)) < 10_000
    assert nearest(record)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_an_example_with_anything_in_any_place_is_read_or_refused(data: st.DataObject) -> None:
    name, _, record = data.draw(st.sampled_from(EXAMPLES))
    spoiled = json.loads(json.dumps(record))
    holder = spoiled
    while isinstance(holder, (dict, list)) and holder:
        place = data.draw(
            st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder)))
        )
        inner = holder[place]
        if not isinstance(inner, (dict, list)) or data.draw(st.booleans()):
            holder[place] = data.draw(_JSON)
            break
        holder = inner
    layout = LAYOUTS[name]
    for path in layout.unfold(spoiled, Reading()) if layout.unfold else [spoiled]:
        read = layout.read(path)
        assert isinstance(read, Misfit) or all(isinstance(m["content"], str) for m in read)
