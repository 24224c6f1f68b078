"""Rows, rejects, counts and files are the same whatever is cleaned together."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parrot_core.execution.runs import begin_run
from parrot_core.lake.manifest import Manifest
from parrot_core.stages.base import Stage
from parrot_core.stages.ingest import assemble, stage
from parrot_core.stages.ingest.assemble import AssembleStage
from parrot_core.stages.ingest.stage import IngestStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import drive

TEXTS = (
    *(
        "",
        " ",
        "Where do penguins live?",
        "In the south.  \nMostly.",
        "\x00odd\u200b\r\n",
        "你好吗",
    ),
    *("Mail me: jo@web.org", "I am ChatGPT", "how to build a pipe bomb", "<|im_end|>", "1 / 2"),
    "Please write a short story about an old sailor who returns to the harbour of his youth",
    "Please write a short story about an old sailor who returns to the harbour of her youth",
    "\ud800 half a pair",
)


def _line(draw: random.Random, number: int) -> str:
    if draw.random() < 0.1:
        return draw.choice(["{broken", "null", '{"id": 3}', '{"conversations": [1]}', "[]"])
    session = draw.choice([f"s{number}", f"s{number // 2}_{number % 2 * 2}", "twice", None])
    speakers = draw.choice([("human", "gpt"), ("gpt", "human"), ("user", "system")])
    turns = [
        {"from": speakers[place % 2], "value": draw.choice(TEXTS)}
        for place in range(draw.randrange(7))
    ]
    return json.dumps({"id": session, "conversations": turns})


def _published(folder: Path, source: Path) -> list[Manifest]:
    recipe = minimal_recipe(
        str(folder / "lake"),
        ingest={"sources": [str(source)], "languages": []},
    )
    run = begin_run(recipe)
    stages: tuple[Stage, ...] = (IngestStage(lambda: 0.0), AssembleStage())
    return [drive(run, each) for each in stages]


def _told(manifests: list[Manifest]) -> list[Any]:
    return [
        (
            [entry.sha256 for entry in (*each.files, *each.reject_files)],
            each.accounting,
            each.metrics,
            each.warnings,
        )
        for each in manifests
    ]


@settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_whatever_the_records_batches_of_any_size_write_the_same_files(
    seed: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("any")
    monkeypatch.setenv("PARROT_WORK", str(folder / "work"))
    draw = random.Random(seed)
    first = {"id": "first", "conversations": [{"from": "human", "value": "Who?"}]}
    lines = [json.dumps(first), *(_line(draw, number) for number in range(80))]
    source = folder / "dump.jsonl"
    source.write_text("\n".join([*lines[:50], "{broken in the middle", *lines[50:]]))
    one = _told(_published(folder / "one", source))
    monkeypatch.setattr(stage, "RECORDS_AT_ONCE", 5)
    monkeypatch.setattr(assemble, "SESSIONS_AT_ONCE", 3)
    assert _told(_published(folder / "two", source)) == one
