"""Runs whose engines are asked in batches, and the driver that works on all shards at once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from parrot_core.engines.limits.limits import Budget
from parrot_core.execution.plans import unfinished
from parrot_core.execution.runs import begin_run
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.batch_records import BatchRecords
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.recipe import Recipe
from parrot_core.stages.base import ShardWork, Stage
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, SeedStage, drive
from tests.support.servers.fake_api import canonical
from tests.support.servers.fake_batch_api import FakeBatchApi

QUICK = {"max_wait_s": 0.5, "max_requests": SEEDS, "poll_s": 0.02, "grace_s": 0}
"""A round is ordered as soon as all sessions wait for it, however busy the machine is."""
HASTY = {**QUICK, "max_wait_s": 0.1}
"""For runs in which rounds stay short of sessions and so wait; a busy machine may cut a round."""
TURNS = 3
REQUESTS = SEEDS * (2 * TURNS - 1)
ROUNDS = 2 * TURNS - 1
"""Batches of a run in which nothing goes wrong: all shards together ask once a round."""


class Seeds(SeedStage):
    """All seeds in one shard: half as long a test."""

    def process(self, work: ShardWork) -> None:
        for number in range(SEEDS):
            work.expect(1)
            seed = {"id": f"s{number}", "source_ids": ["x"], "language": "en"}
            work.emit({**seed, "query": f"q{number}?"})


def batch_recipe(
    lake: Path | str, base_url: str, batch: dict[str, Any] | None = None, **changes: Any
) -> Recipe:
    """A recipe that synthesizes through the Batch API; an empty ``batch`` asks at once."""
    price = {"input_per_million": 10_000, "output_per_million": 10_000, "as_of": "2026-01-01"}
    engine = {
        "kind": "openai",
        "model": "m",
        "base_url": base_url,
        "api_key_env": None,
        "limits": {"max_retries": 2},
        "price": price,
        "batch": QUICK if batch is None else batch or None,
    }
    return minimal_recipe(
        str(lake),
        base_url,
        engines={"asker": engine, "answerer": engine, "judge": engine},
        synthesize={"max_turns": TURNS, "min_turns": 2, "sessions_per_shard": 4},
        **changes,
    )


def batch_run(
    lake: Path | str, base_url: str, batch: dict[str, Any] | None = None, **changes: Any
) -> Run:
    """A run whose seeds are published, ready to synthesize."""
    run = begin_run(batch_recipe(lake, base_url, batch, **changes))
    drive(run, Seeds(1))
    return run


def drive_together(run: Run, stage: Stage, budget: Budget | None = None) -> Manifest:
    """All shards at once, whatever becomes of each, as the flow does it."""
    with open_stage(run, stage, budget or Budget(None)) as opened:
        shards = unfinished(run, opened.plan)
        with ThreadPoolExecutor(len(shards) or 1) as pool:
            for attempt in [pool.submit(opened.run_shard, shard) for shard in shards]:
                attempt.exception()
    return opened.publish()


def synthesize(run: Run, budget: Budget | None = None) -> Manifest:
    return drive_together(run, SynthesizeStage(), budget)


def sold(api: FakeBatchApi) -> list[str]:
    return sorted(canonical(body) for body in api.sold)


def open_records(run: Run) -> list[str]:
    return BatchRecords(run.lake.storage, run.name, "synthesize").rounds()


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[BaseException]]:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, failures


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.01)
