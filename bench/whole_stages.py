"""How the stages grow that see all sessions at once: `assemble`, `seeds` and the plan of `filter`.

Usage: python bench/whole_stages.py [--sessions 10000 40000 160000]

Workers don't make these faster: one process compares all sessions of a version. Sessions of two
turns and 120 words are made up; each stage then runs in a process of its own, on local disk.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent / "peers"))

from run_parrot import drive, synthesis

from parrot_core.execution.plans import plan_stage
from parrot_core.execution.runs import begin_run
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import Row, ShardWork, Stage
from parrot_core.stages.registry import STAGES

VOCABULARY = 30_000
WORDS = (15, 45)  # of a query and of an answer
ROWS_PER_FILE = 10_000


def messages(draw: random.Random) -> list[dict[str, str]]:
    """Two turns of words that mean nothing; no two sessions are alike."""
    said = []
    for place in range(4):
        words = (f"w{draw.randrange(VOCABULARY):x}" for _ in range(WORDS[place % 2]))
        said.append({"role": "user" if place % 2 == 0 else "assistant", "content": " ".join(words)})
    return said


class MadeUp(Stage):
    """Publishes made-up rows of one dataset, and what else the schema asks for."""

    def __init__(self, output: str, sessions: int) -> None:
        self.name = f"given-{output}"  # type: ignore[misc]
        self.output = output  # type: ignore[misc]
        self._sessions = sessions

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard."""
        return [ShardPlan(0)]

    def rows_per_file(self, run: Run) -> int:
        """As the stages do."""
        return ROWS_PER_FILE

    def process(self, work: ShardWork) -> None:
        """Emit them."""
        for row in self._rows():
            work.expect(1)
            work.emit(row)

    def _rows(self) -> Iterator[Row]:
        draw = random.Random(1)
        for number in range(self._sessions):
            name = f"r{number:07d}"
            row: Row = {"id": name, "source_ids": [], "language": "en", "messages": messages(draw)}
            if self.output == "records":
                place = {"source": "made up", "record_index": number, "session": name}
                yield {**row, **place, "part": False, "first_message": 0}
            else:
                made = {"provenance": [], "thinking": [], "n_turns": 2, "end_reason": "max_turns"}
                yield {**row, **made, "topic": None}


def step(lake: str, name: str, sessions: int) -> dict[str, Any]:
    """Run one stage, or publish what the first ones read."""
    ingest = {"sources": ["none.json"], "languages": []}
    engine = {"kind": "openai", "api_key_env": None}
    run = begin_run(synthesis(lake, engine, {}, ingest=ingest))
    stages = {stage.name: stage for stage in STAGES}
    began, cpu = time.monotonic(), time.process_time()
    planned = 0.0
    if name in stages:
        plan_stage(run, stages[name])
        planned = time.process_time() - cpu
    accounts = drive(run, stages.get(name) or MadeUp(name, sessions)).accounting
    return {
        "stage": name,
        "sessions": sessions,
        "rows_out": accounts.rows_out,
        "rejected": dict(accounts.rejected),
        "seconds": round(time.monotonic() - began, 1),
        "cpu_ms_a_session": round(1000 * (time.process_time() - cpu) / sessions, 3),
        "of_it_planning": round(1000 * planned / sessions, 3),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Measure each size, and say what a further session costs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[10_000, 40_000, 160_000])
    parser.add_argument("--one", nargs=2, metavar=("LAKE", "STAGE"), help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.one:
        print(json.dumps(step(*told.one, told.sessions[0])))
        return
    found: dict[str, list[dict[str, Any]]] = {}
    for sessions in told.sessions:
        with tempfile.TemporaryDirectory(prefix="parrot-bench-") as folder:
            for stage in ("records", "assemble", "seeds", "dialogues", "filter"):
                command = [sys.executable, __file__, f"--sessions={sessions}"]
                command += ["--one", folder, stage]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                figures = json.loads(done.stdout.splitlines()[-1])
                if stage not in ("records", "dialogues"):
                    found.setdefault(stage, []).append(figures)
                    print(figures, flush=True)
    for stage, sizes in found.items():
        first, last = sizes[0], sizes[-1]
        more = last["sessions"] - first["sessions"]
        if more:
            grown = 1024**2 * (last["peak_rss_mb"] - first["peak_rss_mb"]) / more
            ratio = last["cpu_ms_a_session"] / first["cpu_ms_a_session"]
            print(f"{stage}: {grown:.0f} bytes of memory a further session; CPU ratio {ratio:.2f}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
