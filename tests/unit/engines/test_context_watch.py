"""A served model that drops the beginning of a conversation is noticed, and nobody else is."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.context_watch import ContextWatch
from parrot_core.engines.types import Message
from parrot_core.monitor import read_run
from parrot_core.stages.registry import STAGE_SPECS
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.toy_stages import SEEDS, drive, synthesis
from tests.support.servers.fake_api import Reply, completion_json, echo_turns, serving


def said(number: int) -> list[Message]:
    return [{"role": "user", "content": f"message {n}"} for n in range(number)]


@given(st.lists(st.integers(0, 100), min_size=1, max_size=8))
def test_each_fall_of_a_growing_conversation_is_noticed_and_no_other(tokens: list[int]) -> None:
    watch, known = ContextWatch(), 0
    for turn, read in enumerate(tokens, 1):
        assert watch.shrank(f"s1/t{turn}/answer", said(2 * turn), read) == (0 < read < known)
        known = read or known


@pytest.mark.parametrize(
    ("sample", "messages"),
    [
        ("s2/t2/answer", said(3)),  # another session
        ("s1/t2/ask", said(3)),  # another speaker
        ("s1/t2/answer", said(1)),  # asked again
        ("s1/t2/answer", said(4)[1:]),  # clipped by us
    ],
)
def test_a_shorter_prompt_of_something_else_is_none_of_it(
    sample: str, messages: list[Message]
) -> None:
    watch = ContextWatch()
    assert not watch.shrank("s1/t1/answer", said(1), 50)
    assert not watch.shrank(sample, messages, 10)


def test_it_is_counted_and_shown_in_the_status_and_kept_with_the_version(tmp_path: Path) -> None:
    def forgetful(number: int, body: dict[str, Any]) -> Reply:
        whole = echo_turns(number, body)
        if len(body["messages"]) < 5 or body["messages"][0]["content"] == "q0?":
            return whole
        last = {**body, "messages": body["messages"][-1:]}
        return Reply(raw=json.dumps(completion_json(last, whole)))

    with serving(forgetful) as api:
        run = synthesis(tmp_path, api.base_url)
        manifest = drive(run, SynthesizeStage())
    found = [warning for warning in manifest.warnings if "cut its context" in warning]
    assert len(found) == 2, "once an engine, not once a shard"
    stage = read_run(run.lake, run.name, STAGE_SPECS, datetime.now(UTC)).stage("synthesize")
    assert stage is not None
    assert set(found) <= set(stage.warnings)
    assert stage.traffic["answerer"].cut_contexts >= SEEDS - 1
