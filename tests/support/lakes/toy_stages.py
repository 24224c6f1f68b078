"""Small stages, and a run to try them in, for tests of what all stages share."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from parrot_core.engines.limits.limits import Budget
from parrot_core.errors import StorageError
from parrot_core.execution.plans import unfinished
from parrot_core.execution.runs import begin_run
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import ShardWork, Stage
from tests.support.lakes.recipes import minimal_recipe

SEEDS = 12


class SeedStage(Stage):
    """Makes seeds out of nothing: one a shard, or a failure where it is told to."""

    name: ClassVar[str] = "seeds"
    output: ClassVar[str] = "seeds"
    unit: ClassVar[str] = "session"

    def __init__(self, shards: int = 3) -> None:
        self.shards = shards
        self.failing: set[int] = set()
        self.lost: set[int] = set()
        self.processed: list[int] = []

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        return [ShardPlan(index, params={"seed": index}) for index in range(self.shards)]

    def process(self, work: ShardWork) -> None:
        index = work.plan.params["seed"]
        self.processed.append(index)
        work.expect(2)
        if index in self.failing:
            raise StorageError(f"shard {index} can't be read")
        seed = {"id": f"s{index}", "source_ids": ["x"], "language": "en", "query": f"q{index}?"}
        work.emit(seed)
        if index not in self.lost:
            work.reject(f"r{index}", ["x"], "query_too_short", {"query": "q"}, "1 character")


def drive(run: Run, stage: Stage, budget: Budget | None = None) -> Manifest:
    """What the flow does, without Prefect: every shard, whatever becomes of the others."""
    with open_stage(run, stage, budget or Budget(None)) as opened:
        for shard in unfinished(run, opened.plan):
            try:
                opened.run_shard(shard)
            except Exception:
                continue
    return opened.publish()


class ToyModelStage(Stage):
    """Publishes a small file and one large enough to be uploaded in parts."""

    name: ClassVar[str] = "train-ask"
    output: ClassVar[str] = "parrot-ask"
    kind: ClassVar[Literal["dataset", "model"]] = "model"
    size: ClassVar[int] = 60 * 1024 * 1024

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        return [ShardPlan(0)]

    def process(self, work: ShardWork) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "config.json").write_text("{}")
            (folder / "weights").mkdir()
            (folder / "weights" / "big.bin").write_bytes(os.urandom(1024) * (self.size // 1024))
            work.publish_model(folder)


def synthesis(lake: Path | str, base_url: str, **changes: Any) -> Run:
    """A run whose seeds are published, ready to synthesize."""
    price = {"input_per_million": 10_000, "output_per_million": 10_000, "as_of": "2026-01-01"}
    limits = {"concurrency": 4, "max_retries": 0, "max_pause_s": 0}
    engine: dict[str, Any] = {
        "kind": "openai",
        "model": "m",
        "base_url": base_url,
        "api_key_env": None,
    }
    engine |= {"limits": limits, "price": price}
    settings: dict[str, Any] = {
        "engines": {"asker": engine, "answerer": engine, "judge": engine},
        "synthesize": {"max_turns": 4, "min_turns": 2, "sessions_per_shard": 6},
    }
    recipe = minimal_recipe(str(lake), base_url, **(settings | changes))
    run = begin_run(recipe)
    drive(run, SeedStage(SEEDS))
    return run
