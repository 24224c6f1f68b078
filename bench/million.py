"""What it takes to plan, list, resume, watch and publish a (simulated) run of a million sessions.

Usage: python bench/million.py [--sessions 1000000] [--shards 4000] [--s3] [--json]

Nothing is synthesized: the receipts, progress files and shard files that the workers would have
left are put there directly. With ``--s3`` a real S3 server is started for the lake.
"""

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parent / "peers"))

from run_parrot import synthesis

from parrot_core.execution.plans import plan_stage, unfinished
from parrot_core.execution.publication import publish_stage
from parrot_core.execution.runs import begin_run
from parrot_core.execution.shard_work import rows_of
from parrot_core.lake.attempts import ShardProgress
from parrot_core.lake.lake import version_folder
from parrot_core.lake.manifest import (
    Accounting,
    EngineUsage,
    FileEntry,
    Fingerprint,
    Manifest,
    Receipt,
)
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords, utc_now
from parrot_core.lake.shard_writer import ParquetFiles
from parrot_core.lake.spending import Spending
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.monitor.reader import RunReader, read_run
from parrot_core.schemas import SEEDS
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.servers.s3_server import s3_server, use_s3

ROWS_PER_FILE = 50_000
LEFT = 10  # shards that are not done when the run is resumed


class Clock:
    """Seconds and memory of each step."""

    def __init__(self, quiet: bool) -> None:
        self.steps: list[dict[str, object]] = []
        self._quiet = quiet

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a block."""
        started, cpu = time.monotonic(), time.process_time()
        yield
        figures = {
            "step": name,
            "seconds": round(time.monotonic() - started, 2),
            "cpu_s": round(time.process_time() - cpu, 2),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        self.steps.append(figures)
        if not self._quiet:
            print(figures, flush=True)


def a_run(lake: str, sessions: int, shards: int) -> Run:
    """A run whose recipe cuts the sessions into so many shards."""
    engine = {"kind": "openai", "api_key_env": None}
    settings = {"sessions_per_shard": -(-sessions // shards)}
    return begin_run(synthesis(lake, engine, settings, budget_usd=1_000_000))


def publish_seeds(run: Run, sessions: int) -> None:
    """Real seeds in real files, as the seeds stage writes them."""
    folder = version_folder("dataset", "seeds", run.name)
    storage = run.lake.storage
    with ParquetFiles(storage, folder, "shards/0", SEEDS.arrow, ROWS_PER_FILE) as files:
        for n in range(sessions):
            query = f"Question {n}: {hashlib.md5(str(n).encode()).hexdigest() * 4}?"
            row = {"id": f"s{n:07d}", "source_ids": [f"c{n}"], "language": "en", "query": query}
            files.append(row)
        entries = files.finish()
    run.lake.publish(
        Manifest(
            kind="dataset",
            name="seeds",
            version=run.name,
            commit_id="0",
            created_at=utc_now(),
            stage="seeds",
            run=run.name,
            inputs={},
            recipe=run.recipe.model_dump(mode="json"),
            fingerprint=Fingerprint(recipe="", code=""),
            files=entries,
            accounting=Accounting(unit="session", rows_in=sessions, rows_out=sessions),
            seconds=0,
        )
    )


def finish_shard(run: Run, state: StageRecords, shard: ShardPlan) -> None:
    """Leave what a worker leaves that did a shard: its file, progress, receipt."""
    attempt = hashlib.md5(str(shard.index).encode()).hexdigest()[:12]
    content = hashlib.sha256(attempt.encode()).digest() * 8
    path = f"shards/{shard.index:05d}-{attempt}-0.parquet"
    folder = version_folder("dataset", "dialogues", run.name)
    run.lake.storage.write_bytes(f"{folder}/{path}", content)
    checksum = hashlib.sha256(content).hexdigest()
    used = EngineUsage(model="m", requests=2500, prompt_tokens=10**6, completion_tokens=10**6)
    usage = {"asker": used, "answerer": used}
    now = utc_now()
    progress = ShardProgress(
        worker="host:1",
        attempt=attempt,
        epoch=1,
        started_at=datetime.fromisoformat(now),
        updated_at=datetime.fromisoformat(now),
        done=shard.rows,
        total=shard.rows,
        figures={"turns": shard.rows * 10},
        usage=usage,
    )
    state.shard(shard.index).write_progress(progress)
    state.shard(shard.index).file_receipt(
        Receipt(
            shard=shard.index,
            attempt=attempt,
            epoch=1,
            accounting=Accounting(
                unit="session", source_rows=shard.rows, rows_in=shard.rows, rows_out=shard.rows
            ),
            files=(FileEntry(path=path, rows=shard.rows, bytes=len(content), sha256=checksum),),
            usage=usage,
            metrics={"turns": shard.rows * 10},
            worker="host:1",
            started_at=now,
            ended_at=now,
        )
    )


def finish_shards(run: Run, shards: list[ShardPlan]) -> None:
    """Many of them at once."""
    state = StageRecords(run.lake.storage, run.name, "synthesize")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda shard: finish_shard(run, state, shard), shards))


def measure(lake: str, sessions: int, shards: int, clock: Clock) -> None:
    """All steps of a run's life that see all of its shards."""
    stage = SynthesizeStage()
    specs = [stage.spec]
    run = a_run(lake, sessions, shards)
    with clock.step("(set up) write the seeds"):
        publish_seeds(run, sessions)
    with clock.step("plan"):
        plan = plan_stage(run, stage)
    assert len(plan.shards) == shards, len(plan.shards)
    with clock.step("read the seeds of 20 neighbouring shards"):
        read = sum(1 for shard in plan.shards[:20] for _ in rows_of(run.lake, shard.inputs))
    assert read == sum(shard.rows for shard in plan.shards[:20])
    with clock.step("(set up) leave what finished shards leave"):
        finish_shards(run, list(plan.shards[:-LEFT]))
    with clock.step("resume: plan, what is left, what was spent"):
        plan = plan_stage(run, stage)
        left = unfinished(run, plan)
        spent = Spending(run.lake.storage, run.name).total()
    assert (len(left), spent) == (LEFT, 0)
    with clock.step("watch: first look"):
        reader = RunReader(run.lake, run.name, specs)
        state = reader.read(datetime.now(UTC))
    assert state.stages[0].done == sum(shard.rows for shard in plan.shards[:-LEFT])
    with clock.step("watch: next look"):
        reader.read(datetime.now(UTC))
    finish_shards(run, left)
    with clock.step("publish"):
        manifest = publish_stage(run, stage, plan)
    assert manifest.accounting.rows_out == sessions
    with clock.step("run again: nothing to do"):
        publish_stage(run, stage, plan_stage(run, stage))
    with clock.step("list the lake's versions"):
        assert len(run.lake.versions()) == 2
    with clock.step("watch: after publication"):
        read_run(run.lake, run.name, specs, datetime.now(UTC))


@contextmanager
def s3_lake() -> Iterator[str]:
    """A lake on a real S3 server of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="parrot-bench-") as folder,
        s3_server(Path(folder)) as endpoint,
        pytest.MonkeyPatch.context() as patch,
    ):
        use_s3(patch, endpoint)
        yield "s3://lake/bench"


@contextmanager
def local_lake() -> Iterator[str]:
    """A lake in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as folder:
        yield folder


def main() -> None:
    """Measure on a local disk, or on S3."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=4000)
    parser.add_argument("--s3", action="store_true", help="on a real S3 server, started here")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    clock = Clock(quiet=told.json)
    with s3_lake() if told.s3 else local_lake() as lake:
        measure(lake, told.sessions, told.shards, clock)
    if told.json:
        print(json.dumps(clock.steps))


if __name__ == "__main__":
    main()
