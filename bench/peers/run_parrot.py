"""Parrot Factory's contender: the real synthesis stage, lake, journal and progress included.

Usage: python bench/peers/run_parrot.py --base-url URL --sessions 100 --folder DIR
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from measured import Work, measure

from parrot_core.engines.limits.limits import Budget
from parrot_core.execution.plans import unfinished
from parrot_core.execution.runs import begin_run
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.recipe import Recipe, parse_recipe
from parrot_core.stages.base import ShardWork, Stage
from parrot_core.stages.synthesis.stage import SynthesizeStage

SESSIONS_PER_SHARD = 250
SHARDS_AT_ONCE = 4


class OpeningsStage(Stage):
    """Publishes the opening queries as seeds, so that synthesis has something to read."""

    name: ClassVar[str] = "seeds"
    output: ClassVar[str] = "seeds"

    def __init__(self, openings: list[str]) -> None:
        """``openings`` are the first queries."""
        self._openings = openings

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard."""
        return [ShardPlan(0)]

    def process(self, work: ShardWork) -> None:
        """Emit a seed an opening."""
        for number, query in enumerate(self._openings):
            work.expect(1)
            row = {"id": f"s{number:07d}", "source_ids": [], "language": "en", "query": query}
            work.emit(row)


def synthesis(
    lake: str, engine: Mapping[str, object], settings: Mapping[str, object], **more: object
) -> Recipe:
    """A recipe to synthesize with engines that are all alike but for the model's name."""
    engines = {name: {"model": name, **engine} for name in ("asker", "answerer", "judge")}
    return parse_recipe(
        {
            "name": "bench",
            "lake": lake,
            "engines": engines,
            "ingest": {"sources": ["none.json"]},
            "train_ask": {"base": "none"},
            "train_sft": {"base": "none"},
            "evaluate": {"subjects": {"chat": "answerer"}},
            "synthesize": {"min_turns": 1, **settings},
            **more,
        }
    )


def drive(run: Run, stage: Stage) -> Manifest:
    """What the flow does, without Prefect."""
    with open_stage(run, stage, Budget(None)) as opened, ThreadPoolExecutor(SHARDS_AT_ONCE) as pool:
        list(pool.map(opened.run_shard, unfinished(run, opened.plan)))
    return opened.publish()


def synthesize(work: Work) -> int:
    """Publish seeds and dialogues; returns the dialogues."""
    limits = {"concurrency": work.concurrency, "max_retries": 20}
    engine = {"kind": "openai", "base_url": work.base_url, "api_key_env": None, "limits": limits}
    settings = {
        "max_turns": work.turns,
        "sessions_per_shard": SESSIONS_PER_SHARD,
        "sessions_in_flight": SESSIONS_PER_SHARD,
    }
    run = begin_run(synthesis(str(work.folder / "lake"), engine, settings))
    drive(run, OpeningsStage(work.openings()))
    return drive(run, SynthesizeStage()).accounting.rows_out


if __name__ == "__main__":
    measure(__doc__ or "", synthesize)
