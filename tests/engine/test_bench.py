"""The benchmark of the loop runs from end to end, with next to nothing to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]


def test_the_benchmark_of_the_loop_runs_and_loses_no_dialogue() -> None:
    size = ["--sessions=6", "--turns=3", "--latency-s=0.1", "--concurrency=4", "--json"]
    done = subprocess.run(
        [sys.executable, "bench/loop.py", *size],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    ours = {r["behaviour"]: r for r in results if r["script"] == "run_parrot.py"}
    assert set(ours) == {"fixed", "fixed, faults", "long tail", "long tail, faults"}
    assert ours["fixed"]["dialogues"] == 6
    assert ours["fixed"]["requests"] == 6 * 5 + 2  # each engine is asked a word before the stage
    assert all(result["duplicates"] == 0 for result in ours.values())
