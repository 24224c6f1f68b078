"""What must hold after a synthesis was killed, however often and wherever: money and rows."""

import random
import shutil
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from parrot_core.execution.runs import open_run
from parrot_core.lake import gc
from parrot_core.lake.lake import Lake
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.lake.verify import verify_version
from tests.support.lakes.crash_driver import SHARDS_AT_ONCE, Drive, finish, start
from tests.support.lakes.toy_stages import synthesis
from tests.support.servers.fake_api import FakeApi, Reply, canonical, echo_turns

IN_FLIGHT = 3
"""Sessions in flight in a shard, and so the requests of it that can be under way at a kill."""

AT_RISK = IN_FLIGHT * SHARDS_AT_ONCE
"""Most requests that one kill may cost: each session has at most one that isn't durable."""


def slow_echo(seed: int, longest_s: float = 0.03) -> Any:
    """Answers that depend on the request alone, after a random time."""
    rng = random.Random(seed)

    def reply(number: int, body: dict[str, Any]) -> Reply:
        return Reply(echo_turns(number, body).text, delay_s=rng.uniform(0, longest_s))

    return reply


def seeded(lake: str, api: FakeApi, *, sessions_per_shard: int, turns: int) -> Run:
    """A run whose seeds are published, ready to be synthesized by other processes."""
    synthesize = {
        "max_turns": turns,
        "min_turns": 1,
        "sessions_per_shard": sessions_per_shard,
        "sessions_in_flight": IN_FLIGHT,
    }
    return synthesis(lake, api.base_url, synthesize=synthesize, max_attempts=1000)


def kill_at_random(drive: Drive, api: FakeApi, rng: random.Random) -> int:
    """Start a process and kill it a few requests later; returns its exit code, 0 if it was done."""
    target = len(api.requests) + rng.randint(1, 14)
    process = start(drive)
    while process.exitcode is None and len(api.requests) < target:
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.06))
    process.kill()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def check_finished(lake: str, api: FakeApi, expected: set[str], kills: int, seeds: int) -> Manifest:
    """Everything that a person who paid would want to know."""
    run = open_run(Lake(lake), "test")
    manifest = run.lake.manifest("dataset", "dialogues", "test")
    sent = Counter(canonical(body) for body in api.requests)
    assert sent.keys() == expected, "requests differ from the uninterrupted run's"
    repeats = sent.total() - len(sent)
    assert repeats <= kills * AT_RISK, f"{repeats} requests repeated after {kills} kills"

    rows = list(run.lake.dataset("dialogues", "test").rows())
    ids = [row["id"] for row in rows]
    assert sorted(ids) == sorted(f"s{n}" for n in range(seeds)), "a session lost or twice"
    accounts = manifest.accounting
    assert (accounts.rows_in, accounts.rows_out, accounts.rows_rejected) == (seeds, seeds, 0)
    billed = sum(used.requests for used in manifest.usage.values())
    assert billed == len(expected), "each answer is in the accounts once"
    assert verify_version(run.lake, manifest) == []
    check_tidy(run.lake, manifest)
    return manifest


def check_tidy(lake: Lake, manifest: Manifest) -> None:
    """After ``gc --yes`` only what was published is left, and the records of how it came about."""
    now = datetime.now(UTC) + timedelta(seconds=1)
    gc.remove(lake, gc.collect(lake, timedelta(0), now))
    assert gc.collect(lake, timedelta(0), now).garbage == ()
    folder = f"datasets/{manifest.name}/{manifest.version}"
    named = {f"{folder}/{e.path}" for e in (*manifest.files, *manifest.reject_files)}
    everything = [file.path for file in lake.storage.files("")]
    assert {p for p in everything if p.startswith(folder)} == named | {f"{folder}/manifest.json"}
    assert [p for p in everything if "/journal/" in p or "/.tmp-" in p or "/workers/" in p] == []


def uninterrupted(drive: Drive, api: FakeApi) -> set[str]:
    """The requests of a run that nothing happens to."""
    assert finish(drive) == 0
    sent = {canonical(body) for body in api.requests}
    assert len(sent) == len(api.requests)
    api.requests.clear()
    return sent


def template_of(folder: Path, api: FakeApi, **shape: int) -> set[str]:
    """A lake with published seeds in ``folder``; returns the requests that it should lead to."""
    seeded(str(folder), api, **shape)
    shutil.copytree(folder, folder.with_name("whole"))
    return uninterrupted(Drive(str(folder.with_name("whole"))), api)
