"""Killed anywhere, synthesis goes on as if nothing had happened, and pays for nothing twice."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parrot_core.lake.lake import Lake
from parrot_core.lake.leases import LeaseTimes
from tests.support.lakes.crash_checks import (
    AT_RISK,
    check_finished,
    kill_at_random,
    slow_echo,
    template_of,
)
from tests.support.lakes.crash_driver import HELD, Drive, finish, start
from tests.support.lakes.toy_stages import SEEDS
from tests.support.servers.fake_api import FakeApi, Reply, canonical, echo_turns, serving

pytestmark = pytest.mark.engine

KILLS = 12


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.setenv("PARROT_WORK", str(tmp_path / "work"))
    with serving() as running:
        yield running


def test_killed_at_many_random_points_nothing_is_lost_and_nothing_bought_twice(
    tmp_path: Path, api: FakeApi
) -> None:
    expected = template_of(tmp_path / "seeded", api, sessions_per_shard=4, turns=4)
    assert len(expected) == SEEDS * 7
    all_kills = 0
    for seed in range(20):
        rng = random.Random(seed)
        lake = str(shutil.copytree(tmp_path / "seeded", tmp_path / f"lake{seed}"))
        api.requests.clear()
        api.behaviour = slow_echo(seed)
        kills = sum(
            kill_at_random(Drive(lake), api, rng) == -signal.SIGKILL
            for _ in range(rng.randint(2, 6))
        )
        assert finish(Drive(lake)) == 0
        check_finished(lake, api, expected, kills, SEEDS)
        all_kills += kills
        if all_kills >= KILLS:
            return
    pytest.fail(f"only {all_kills} of {KILLS} processes were killed before they were done")


def test_two_processes_at_one_run_share_the_work_and_buy_nothing_twice(
    tmp_path: Path, api: FakeApi
) -> None:
    expected = template_of(tmp_path / "seeded", api, sessions_per_shard=2, turns=3)
    lake = str(tmp_path / "seeded")
    api.behaviour = slow_echo(1, 0.1)
    processes = [start(Drive(lake)), start(Drive(lake, backwards=True))]
    for process in processes:
        process.join(60)
    codes = {process.exitcode for process in processes}
    assert 0 in codes
    assert codes <= {0, HELD}
    check_finished(lake, api, expected, 0, SEEDS)
    receipts = [
        Lake(lake).storage.read_json(f"runs/test/synthesize/shards/{n:05d}/receipt.json")
        for n in range(SEEDS // 2)
    ]
    assert len({receipt["worker"] for receipt in receipts}) == 2, "both had a part"


def content(lake: str) -> dict[str, bytes]:
    """Everything in a lake but the records by which processes share a provider's limits."""
    storage = Lake(lake).storage
    paths = (path for path in storage.list("") if "/workers/" not in path)
    return {path: storage.read_bytes(path) for path in paths}


def test_a_process_that_was_paused_for_too_long_changes_nothing_when_it_wakes(
    tmp_path: Path, api: FakeApi
) -> None:
    times = LeaseTimes(expiry_s=2.0, renew_s=0.5, poll_s=0.05)
    expected = template_of(tmp_path / "seeded", api, sessions_per_shard=6, turns=3)
    lake = str(tmp_path / "seeded")
    fast = 20

    def then_slow(number: int, body: dict[str, Any]) -> Reply:
        delay_s = 0.0 if number <= fast else 2.0
        return Reply(echo_turns(number, body).text, delay_s=delay_s)

    api.behaviour = then_slow
    paused = start(Drive(lake, times=times))
    assert paused.pid is not None
    while len(api.requests) <= fast:
        time.sleep(0.01)
    time.sleep(0.3)  # what it has in hand is written
    claim = Path(lake, "runs/test/synthesize/shards/00000/claims/000001.json")
    renewed = claim.read_bytes()
    while claim.read_bytes() == renewed:  # and it writes nothing now: it has just renewed
        time.sleep(0.005)
    time.sleep(0.05)
    os.kill(paused.pid, signal.SIGSTOP)
    try:
        api.behaviour = echo_turns
        assert finish(Drive(lake, times=times)) == 0
        before = content(lake)
    finally:
        os.kill(paused.pid, signal.SIGCONT)
    paused.join(30)
    assert paused.exitcode == 0
    assert content(lake) == before
    sent = Counter(canonical(body) for body in api.requests)
    assert sent.total() - len(sent) <= AT_RISK
    manifest = check_finished(lake, api, expected, 1, SEEDS)
    epochs = {
        Lake(lake).storage.read_json(f"runs/test/synthesize/shards/{n:05d}/receipt.json")["epoch"]
        for n in range(2)
    }
    assert epochs == {2}
    assert manifest.run == "test"
