"""A provider that refuses everything pauses a real run, visibly, and the run goes on by itself."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from parrot_core.engines.limits.limits import Budget
from parrot_core.execution.runs import begin_run
from parrot_core.lake.run_records import StageRecords
from parrot_core.monitor.reader import read_run
from parrot_core.monitor.state import StageSpec
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, drive
from tests.support.servers.fake_api import Reply, echo_turns, serving

pytestmark = pytest.mark.engine

SPECS = [StageSpec("synthesize", "dialogues", "dataset")]


def test_an_outage_is_seen_from_outside_and_costs_no_attempt(tmp_path: Path) -> None:
    outage = threading.Event()

    def answer(number: int, body: dict[str, Any]) -> Reply:
        if number == 10:
            outage.set()
        return Reply(status=429) if outage.is_set() else echo_turns(number, body)

    with serving(answer) as api:
        engine = {"kind": "openai", "model": "m", "base_url": api.base_url, "api_key_env": None}
        engine["limits"] = {"concurrency": 4, "max_retries": 0, "pause_after_s": 0.5}
        recipe = minimal_recipe(
            str(tmp_path),
            engines={"asker": engine, "answerer": engine, "judge": engine},
            synthesize={"max_turns": 3, "sessions_per_shard": 4},
        )
        run = begin_run(recipe)
        drive(run, SeedStage(4))
        done = threading.Thread(target=drive, args=(run, SynthesizeStage(), Budget(None)))
        done.start()
        deadline = time.monotonic() + 30
        while (seen := read_run(run.lake, "test", SPECS, datetime.now(UTC))).status != "paused":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert "HTTP 429 since" in seen.stages[0].pause
        refused = len(api.requests)
        time.sleep(2)
        assert len(api.requests) <= refused + 1  # one probe, at most
        outage.clear()
        done.join(60)
    assert run.lake.published("dataset", "dialogues", "test")
    assert StageRecords(run.lake.storage, "test", "synthesize").shard(0).failures() == []
