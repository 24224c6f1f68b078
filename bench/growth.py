"""What a session costs as a run grows: CPU, memory, bytes in the lake and requests to it.

Usage: python bench/growth.py [--sessions 250 1000 4000] [--s3] [--spacing-s 0.2]

The real stage synthesizes, with the recipe's defaults for shards and sessions in flight, each size
in a process and a lake of its own, against a server in another process. With ``--s3`` the lakes are
on a real S3 server. All figures should be flat but for memory, which may grow by what it keeps of
a session.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parent / "peers"))

import s3fs
from run_parrot import OpeningsStage, synthesis
from slow_api import Behaviour, serving

from parrot_core.engines.limits.budget import Budget
from parrot_core.execution import shard_work
from parrot_core.execution.plans import unfinished
from parrot_core.execution.runs import begin_run
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.requests import bill
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.servers.s3_server import KEY, SECRET, s3_server

PER_SHARD, IN_FLIGHT = 256, 64  # the recipe's defaults
PER_1000_WRITES, PER_1000_READS = 0.005, 0.0004  # S3 Standard, us-east-1, dollars


def synthesize(lake: str, base_url: str, sessions: int, turns: int, at_once: int) -> dict[str, Any]:
    """Make the dialogues; returns what it took, all but the making of the seeds."""
    limits = {"concurrency": 1024, "max_retries": 20}
    engine = {"kind": "openai", "base_url": base_url, "api_key_env": None, "limits": limits}
    total = PER_SHARD * 4 if at_once == 1 else PER_SHARD  # as many in flight in one as in four
    settings = {
        "max_turns": turns,
        "sessions_per_shard": total,
        "sessions_in_flight": IN_FLIGHT * total // PER_SHARD,
    }
    run = begin_run(synthesis(lake, engine, settings))
    openings = [f"Opening question {n}: how does thing {n} work?" for n in range(sessions)]
    for stage in (OpeningsStage(openings), SynthesizeStage()):
        before, made = time.process_time(), Counter(run.lake.storage.requests())
        began = time.monotonic()
        with open_stage(run, stage, Budget(None)) as opened, ThreadPoolExecutor(at_once) as pool:
            list(pool.map(opened.run_shard, unfinished(run, opened.plan)))
        accounts = opened.publish().accounting
    requests = Counter(run.lake.storage.requests()) - made
    stored = sum(file.bytes for file in run.lake.storage.files(""))
    completions = accounts.rows_out * (2 * turns - 1)
    return {
        "sessions": accounts.rows_out,
        "seconds": round(time.monotonic() - began, 1),
        "cpu_ms_a_completion": round(1000 * (time.process_time() - before) / completions, 3),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "lake_bytes_a_session": round(stored / accounts.rows_out),
        "requests_a_session": round(requests.total() / accounts.rows_out, 2),
        "usd_a_1000_sessions": round(
            1000 * bill(requests, PER_1000_WRITES, PER_1000_READS) / accounts.rows_out, 4
        ),
    }


@contextmanager
def lakes(s3: bool) -> Iterator[str]:
    """Where lakes may be: a folder, or a bucket of a server started here."""
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as folder:
        if not s3:
            yield folder
            return
        with s3_server(Path(folder)) as endpoint:
            os.environ |= {
                "AWS_ACCESS_KEY_ID": KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            s3fs.S3FileSystem.clear_instance_cache()
            yield "s3://lake"


def main() -> None:
    """Measure each size, and print how the last compares with the first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[250, 1000, 4000])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--latency-s", type=float, default=0.5)
    parser.add_argument("--sigma", type=float, default=0.5, help="of the long-tailed latency")
    parser.add_argument("--spacing-s", type=float, help="least time between writes of a journal")
    parser.add_argument(
        "--shards-at-once", type=int, nargs="+", default=[4], help="1 holds as many"
    )
    parser.add_argument("--s3", action="store_true", help="lakes on a real S3 server, started here")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("LAKE", "URL"), help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.one:
        [sessions], [at_once] = told.sessions, told.shards_at_once
        if told.spacing_s is not None:
            shard_work.LOCAL_JOURNAL_SPACING_S = told.spacing_s
            shard_work.REMOTE_JOURNAL_SPACING_S = told.spacing_s
        print(json.dumps(synthesize(*told.one, sessions, told.turns, at_once)))
        return
    found: list[dict[str, Any]] = []
    with lakes(told.s3) as root, serving() as api:
        for at_once in told.shards_at_once:
            for sessions in told.sessions:
                api.reset(Behaviour(told.latency_s, told.sigma))
                command = [sys.executable, __file__, f"--sessions={sessions}"]
                command += [f"--turns={told.turns}", f"--shards-at-once={at_once}"]
                if told.spacing_s is not None:
                    command.append(f"--spacing-s={told.spacing_s}")
                command += ["--one", f"{root}/{at_once}-{sessions}", api.base_url]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                figures = json.loads(done.stdout.splitlines()[-1])
                found.append({"shards_at_once": at_once, **figures})
                if not told.json:
                    print(found[-1], flush=True)
    if told.json:
        print(json.dumps(found))
        return
    first, last = found[0], found[-1]
    for name in (
        "cpu_ms_a_completion",
        "peak_rss_mb",
        "lake_bytes_a_session",
        "requests_a_session",
    ):
        if first[name]:
            print(f"{name}: last / first = {last[name] / first[name]:.2f}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
