"""What Prefect costs a shard, beside the same shards through our runner without Prefect.

    PYTHONPATH=. python bench/prefect_overhead.py [--shards 10,100,500,2000] [--api URL]

The stage's shards do nothing but write one row, so that what is left is planning, leases, records
and files, which both sides have, and Prefect, which one has. Each case runs in a process of its
own and prints seconds a shard, peak RSS, and how many of the task runs the server has recorded,
how long after the flow's end. The server is one on SQLite, started as ``parrot run`` starts it, or
the one of ``--api``.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import httpx

from parrot_core.engines.limits.limits import Budget
from parrot_core.execution.plans import unfinished
from parrot_core.execution.runs import begin_run
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.run import Run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage

AT_ONCE = 8
SETTLED_S = 20.0
"""The server has recorded all that it will when its count stands still for so long."""


@dataclass(frozen=True, slots=True)
class Took:
    """One case, measured inside its process."""

    stage_s: float
    flow_s: float  # with Prefect: from the call to the return, flow run included
    peak_rss_mb: float
    flow_run: str = ""


def bare(run: Run, stage: SeedStage) -> Took:
    """The shards on a pool of threads."""
    begun = time.perf_counter()
    with open_stage(run, stage, Budget(None)) as opened, ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(opened.run_shard, unfinished(run, opened.plan)))
    opened.publish()
    took = time.perf_counter() - begun
    return Took(took, took, _peak_rss_mb())


def orchestrated(run: Run, stage: SeedStage) -> Took:
    """The shards as tasks of a flow run, with what our flows do beside them."""
    from prefect import flow
    from prefect.runtime import flow_run
    from prefect.task_runners import ThreadPoolTaskRunner

    from flows.stages import run_stage

    pool: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(AT_ONCE)

    @flow(name="overhead", task_runner=cast(Any, pool))
    def work() -> tuple[str, float]:
        begun = time.perf_counter()
        run_stage(run, stage)
        return str(flow_run.id), time.perf_counter() - begun

    begun = time.perf_counter()
    made, took = work()
    return Took(took, time.perf_counter() - begun, _peak_rss_mb(), made)


def measured(kind: str, shards: int) -> Took:
    """Run one case in a process of its own."""
    command = [sys.executable, __file__, "--case", kind, "--shards", str(shards)]
    quiet = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}
    done = subprocess.run(
        command, env={**os.environ, **quiet}, stdout=subprocess.PIPE, text=True, check=True
    )
    return Took(**json.loads(done.stdout.splitlines()[-1]))


def recorded(api: str, flow_run: str) -> tuple[int, float]:
    """Task runs that the server shows as completed at last, and the seconds until then."""
    wanted = {
        "flow_runs": {"id": {"any_": [flow_run]}},
        "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
    }
    begun = last_change = time.monotonic()
    count = -1
    while time.monotonic() - last_change < SETTLED_S:
        answer = httpx.post(f"{api}/task_runs/count", json=wanted, auth=_auth(), timeout=60)
        if answer.status_code == 200 and answer.json() != count:
            count, last_change = answer.json(), time.monotonic()
        time.sleep(0.5)
    return count, last_change - begun


def compare(api: str, shards: int) -> None:
    """Measure and print one number of shards, both ways."""
    without, with_prefect = measured("bare", shards), measured("prefect", shards)
    count, lag = recorded(api, with_prefect.flow_run)
    more = with_prefect.stage_s - without.stage_s
    print(
        f"{shards:>5} shards: bare {without.stage_s:.1f} s, Prefect {with_prefect.stage_s:.1f} s "
        f"({with_prefect.stage_s / without.stage_s:.1f} times), {more / shards * 1000:.0f} ms more "
        f"a shard, flow run {with_prefect.flow_s - with_prefect.stage_s:.1f} s; peak RSS "
        f"{without.peak_rss_mb:.0f} and {with_prefect.peak_rss_mb:.0f} MiB; "
        f"{count} task runs recorded {lag:.0f} s after; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def _auth() -> tuple[str, str] | None:
    user, colon, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    return (user, password) if colon else None


def _peak_rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _case(kind: str, shards: int) -> None:
    work = orchestrated if kind == "prefect" else bare
    with tempfile.TemporaryDirectory() as scratch:
        recipe = minimal_recipe(f"{scratch}/lake")
        work(begin_run(recipe, "warm"), SeedStage(AT_ONCE))  # imports, and the first connections
        print(json.dumps(asdict(work(begin_run(recipe), SeedStage(shards)))))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", default="10,100,500,2000")
    parser.add_argument("--api", help="A running Prefect server, e.g. http://host:4200/api.")
    parser.add_argument("--case", choices=["bare", "prefect"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    counts = [int(each) for each in asked.shards.split(",")]
    if asked.case:
        _case(asked.case, counts[0])
        return
    from parrot_cli import prefect_server as server

    with tempfile.TemporaryDirectory() as scratch:
        os.environ["PARROT_SERVER_HOME"] = str(Path(scratch) / "prefect")
        os.environ["PREFECT_API_URL"] = asked.api or ""
        if not asked.api:
            os.environ.update(server.environment(server.ensure()))
        try:
            for count in counts:
                compare(os.environ["PREFECT_API_URL"], count)
        finally:
            if not asked.api:
                server.stop()


if __name__ == "__main__":
    main()
