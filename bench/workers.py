"""How many workers of one run share a slow API: throughput over ideal, joining, leaving, limits.

Usage: python bench/workers.py [--workers 1 2 4 8 16] [--disk] [--no-joining] [--no-simulation]

Each worker is a process that runs the real stage, as `parrot run` does, on one lake: a real S3
server unless ``--disk`` is given. The server answers after 2 to 5 seconds and has as many places as
the recipe's limits, which the workers share. *Ideal* is the slower engine's service time at its
limit, never idle. Joining and leaving cost what stands idle then. The shared limits themselves are
simulated, with the real code, a real lake and a clock of our own.
"""

import argparse
import heapq
import itertools
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parent / "peers"))

from growth import PER_1000_READS, PER_1000_WRITES, lakes
from run_parrot import OpeningsStage, drive, synthesis
from slow_api import Behaviour, RunningApi, serving

from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.limits.limits import Limiter, Share
from parrot_core.engines.limits.sharing import BEAT_S, SOON_S, Sharing
from parrot_core.errors import RunStopped
from parrot_core.execution.local import run as run_stages
from parrot_core.execution.runs import begin_run
from parrot_core.lake.lake import Lake
from parrot_core.lake.requests import bill, requests_of
from parrot_core.lake.spending import Spending
from parrot_core.lake.storage import Storage
from parrot_core.lake.workers import Workers
from parrot_core.recipe import Limits, Recipe
from parrot_core.stages.registry import STAGES
from parrot_core.telemetry.stop_request import stop_request

PER_SHARD = 8
SHARDS_AT_ONCE = 16
BEHAVIOUR = Behaviour(latency_s=3.0, sigma=0.25)  # 95 % within 1.8 and 4.7 s


def recipe_of(lake: str, base_url: str, places: int, turns: int) -> Recipe:
    """Both engines at one server, with so many places for each."""
    limits = {"concurrency": places, "max_retries": 20}
    engine = {"kind": "openai", "base_url": base_url, "api_key_env": None, "limits": limits}
    settings = {
        "max_turns": turns,
        "sessions_per_shard": PER_SHARD,
        "sessions_in_flight": PER_SHARD,
    }
    return synthesis(lake, engine, settings, shards_at_once=SHARDS_AT_ONCE)


def publish_seeds(recipe: Recipe, sessions: int) -> None:
    """What all workers begin with."""
    openings = [f"Opening question {n}: how does thing {n} work?" for n in range(sessions)]
    drive(begin_run(recipe), OpeningsStage(openings))


class Worker:
    """A process that works on the run from :meth:`go` on."""

    def __init__(self, lake: str, base_url: str, places: int, turns: int) -> None:
        command = [sys.executable, __file__, "--worker", lake, base_url, str(places), str(turns)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"  # all is imported

    def tell(self, word: str) -> None:
        """Say ``go``, and later perhaps ``stop``."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()


def work(lake: str, base_url: str, places: int, turns: int) -> None:
    """The worker's side."""
    assert list(STAGES)  # loads them
    print("ready", flush=True)
    sys.stdin.readline()

    def listen() -> None:
        if sys.stdin.readline():
            stop_request().ask(RunStopped("told to leave"))

    threading.Thread(target=listen, daemon=True).start()
    with suppress(RunStopped):
        run_stages(recipe_of(lake, base_url, places, turns), only=["synthesize"])


def throughput(root: str, api: RunningApi, workers: int, told: argparse.Namespace) -> None:
    """One run by so many workers, who begin together."""
    lake = f"{root}/{workers}"
    recipe = recipe_of(lake, api.base_url, told.places, told.turns)
    publish_seeds(recipe, told.sessions)
    each = [Worker(lake, api.base_url, told.places, told.turns) for _ in range(workers)]
    api.reset(BEHAVIOUR)
    began = time.monotonic()
    for worker in each:
        worker.tell("go")
    codes = [worker.process.wait() for worker in each]
    took = time.monotonic() - began
    stats = api.stats()
    ideal = max(model["service_s"] for model in stats["models"].values()) / told.places
    most = max(model["most_in_flight"] for model in stats["models"].values())
    made = requests_of(Lake(lake).storage, recipe.name).get("synthesize", Counter())
    shards = told.sessions // PER_SHARD
    checks = 2 * (workers - 1)  # before it pays, each worker asks each engine for a word
    print(
        f"{workers:2} workers: throughput / ideal {ideal / stats['span_s']:.3f}"
        f" (ideal {ideal:.1f} s, first to last answer {stats['span_s']:.1f} s, with start and end"
        f" {took:.1f} s); bought twice {stats['duplicates'] - checks}; at most {most} of"
        f" {told.places} in flight; {made.total() / shards:.0f} requests to the lake a shard,"
        f" ${bill(made, PER_1000_WRITES, PER_1000_READS) / told.sessions * 1000:.3f} per 1,000"
        f" sessions; exit codes {sorted(set(codes))}",
        flush=True,
    )


@dataclass
class Idle:
    """Places of the busier engine that stand empty, over time."""

    api: RunningApi
    places: int
    seen: list[tuple[float, int]] = field(default_factory=list)

    def lost_s(self, since: float, until: float) -> float:
        """Seconds of the whole limit that stood idle."""
        points = [(at, idle) for at, idle in self.seen if since <= at <= until]
        areas = ((b[0] - a[0]) * a[1] for a, b in itertools.pairwise(points))
        return sum(areas) / self.places

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look a few times a second while the block runs."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(0.2):
                models = self.api.stats()["models"].values()
                busiest = max((model["in_flight"] for model in models), default=0)
                self.seen.append((time.monotonic(), self.places - busiest))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def joining(root: str, api: RunningApi, told: argparse.Namespace) -> None:
    """A second worker comes, leaves, comes again and is killed; the first works all the time."""
    lake = f"{root}/joining"
    publish_seeds(recipe_of(lake, api.base_url, told.places, told.turns), 20 * told.places)
    first, second, third = (Worker(lake, api.base_url, told.places, told.turns) for _ in range(3))
    api.reset(BEHAVIOUR)
    idle = Idle(api, told.places)
    steps: list[tuple[str, float]] = []
    with idle.watched():
        first.tell("go")
        time.sleep(12)
        for name, act in (
            ("alone", lambda: None),
            ("a second worker joins", lambda: second.tell("go")),
            ("it leaves, as told", lambda: second.tell("stop")),
            ("another joins", lambda: third.tell("go")),
            ("it is killed", third.process.kill),
        ):
            steps.append((name, time.monotonic()))
            act()
            time.sleep(25)
    for worker in (first, second, third):
        worker.process.kill()
        worker.process.wait()
    base = idle.lost_s(steps[0][1], steps[0][1] + 25)
    print(f"the first worker alone leaves {base / 25:.1%} of its limit idle")
    for name, at in steps[1:]:
        lost = idle.lost_s(at, at + 25) - base
        print(f"{name}: {lost:.1f} s of the whole limit idle in the 25 s after", flush=True)


class CountedStorage(Storage):
    """A lake on disk that counts what would be requests to an object store."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.made: Counter[str] = Counter()

    def write_bytes(self, path: str, data: bytes) -> None:
        """One PUT."""
        self.made["PutObject"] += 1
        super().write_bytes(path, data)

    def read_bytes(self, path: str) -> bytes:
        """One GET."""
        self.made["GetObject"] += 1
        return super().read_bytes(path)

    def list(self, prefix: str) -> list[str]:
        """One listing."""
        self.made["ListObjectsV2"] += 1
        return super().list(prefix)


def simulate(members: int, minutes: float = 3.0) -> None:
    """Workers that join within half a minute and share one limit of requests in flight."""
    limits = Limits(concurrency=512, requests_per_minute=6000)
    draw = random.Random(members)
    now = [0.0]
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as folder:
        storage = CountedStorage(folder)
        limiters: list[Limiter] = []

        def join() -> Sharing:
            limiter = Limiter(limits, lambda: now[0])
            limiter.set_share(Share.nothing(limits))
            limiters.append(limiter)
            shared, spending = Workers(storage, "r", lambda: now[0]), Spending(storage, "r")
            return Sharing(shared, {"m": limiter}, Budget(None), spending, clock=lambda: now[0])

        line = sorted((draw.uniform(0, 30), place, SOON_S) for place in range(members))
        sharing: dict[int, Sharing] = {}
        settled_at = unused = unused_then = cpu = 0.0
        beats = over = 0
        steady: Counter[str] = Counter()
        while line[0][0] < 60 * minutes:
            at, place, wait = heapq.heappop(line)
            held = sum(limiter.share.concurrency for limiter in limiters)
            over = max(over, held - limits.concurrency)
            if limiters:
                unused += (at - now[0]) * (limits.concurrency - held)
            if now[0] < 60 <= at:
                steady, beats, cpu = storage.made.copy(), 0, 0.0
                unused_then, unused = unused, 0.0
            now[0] = at
            before = time.process_time()
            if place not in sharing:
                sharing[place] = join()
            settled = sharing[place].beat()
            cpu += time.process_time() - before
            beats += 1
            settled_at = settled_at if settled else at
            wait = BEAT_S if settled else min(BEAT_S, 1.5 * wait if wait < BEAT_S else SOON_S)
            heapq.heappush(line, (at + wait, place, wait))
        made = storage.made - steady
        each_s = 60 * minutes - 60
        usd = 3600 / each_s * bill(made, PER_1000_WRITES, PER_1000_READS)
        print(
            f"{members:2} workers: {made.total() / each_s / members:.1f} requests a second and"
            f" worker, ${usd:.2f} an hour for all; {1000 * cpu / beats:.1f} ms of CPU a beat;"
            f" last one settled at {settled_at:.0f} s (joined within 30 s);"
            f" {unused_then / limits.concurrency:.1f} s of the limit unused in the first minute,"
            f" {unused / limits.concurrency:.1f} s in the two after;"
            f" at most {over} above the limit",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure throughput, joining and leaving, then simulate the limits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8, 16])
    parser.add_argument("--sessions", type=int, default=384)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--places", type=int, default=48, help="the limit of each engine")
    parser.add_argument("--disk", action="store_true", help="a lake on disk, not on S3")
    parser.add_argument("--no-joining", dest="joining", action="store_false")
    parser.add_argument("--no-simulation", dest="simulation", action="store_false")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    told = parser.parse_args(arguments)
    if told.worker:
        lake, base_url, places, turns = told.worker
        work(lake, base_url, int(places), int(turns))
        return
    if told.workers or told.joining:
        with lakes(s3=not told.disk) as root, serving() as api:
            for workers in told.workers:
                throughput(root, api, workers, told)
            if told.joining:
                joining(root, api, told)
    for members in (1, 2, 4, 8, 16, 32, 64) if told.simulation else ():
        simulate(members)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
