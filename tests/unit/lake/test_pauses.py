"""A pause holds a run's shards and requests, and nothing is lost by it."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from parrot_cli.launch import StageChoice, run_recipe
from parrot_core.engines.limits.limits import Limiter
from parrot_core.errors import RunPaused
from parrot_core.execution.runs import begin_run
from parrot_core.execution.stage_worker import wait_while_paused
from parrot_core.lake.pauses import Pauses
from parrot_core.lake.storage import Storage
from parrot_core.recipe import Limits
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, drive, synthesis
from tests.support.servers.fake_api import Reply, serving

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_the_first_pause_stands_and_a_resumed_run_has_none(tmp_path: Path) -> None:
    pauses = Pauses(Storage(str(tmp_path)), "r")
    assert pauses.read() is None
    assert pauses.pause("ann", NOW, "prices").by == "ann"
    assert str(pauses.pause("bob", NOW)) == "paused by ann since 2026-11-22 12:00:00 UTC: prices"
    assert pauses.resume()
    assert not pauses.resume()
    assert pauses.read() is None


def test_no_shard_is_begun_while_the_run_is_paused(tmp_path: Path) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    pauses = Pauses(run.lake.storage, run.name)
    pauses.pause("ann", NOW)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            pauses.resume()

    wait_while_paused(run, sleep)
    assert len(slept) == 3
    drive(run, SeedStage())


def test_a_paused_run_is_not_begun_again_until_it_is_resumed(tmp_path: Path) -> None:
    recipe = minimal_recipe(str(tmp_path))
    run = begin_run(recipe)
    Pauses(run.lake.storage, run.name).pause("ann", NOW)
    with pytest.raises(RunPaused, match="parrot resume test"):
        run_recipe(recipe, None, StageChoice(), quiet=True)


async def _held_request(limiter: Limiter) -> None:
    async with limiter.slot(1):
        return


def test_a_held_limiter_lets_nothing_out_until_it_is_let_go() -> None:
    import asyncio

    async def scene() -> None:
        limiter = Limiter(Limits(concurrency=4))
        limiter.hold("paused by ann")
        waiting = asyncio.create_task(_held_request(limiter))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        assert limiter.in_flight == 0
        limiter.hold("")
        await asyncio.wait_for(waiting, 1)

    asyncio.run(scene())


def test_a_run_paused_amid_its_requests_goes_on_and_buys_nothing_twice(tmp_path: Path) -> None:
    with serving(lambda number, body: Reply(f"reply {number}", delay_s=0.1)) as api:
        run = synthesis(tmp_path, api.base_url)
        pauses = Pauses(run.lake.storage, run.name)
        worker = threading.Thread(target=drive, args=(run, SynthesizeStage()), daemon=True)
        worker.start()
        _until(lambda: len(api.requests) >= 8)
        pauses.pause("ann", NOW)
        time.sleep(2.6)  # the record is read every two seconds
        asked = len(api.requests)
        time.sleep(0.5)
        assert len(api.requests) == asked
        pauses.resume()
        worker.join(timeout=20)
        assert not worker.is_alive()
        assert len(api.requests) > asked
        bodies = [str(request["messages"]) + str(request["seed"]) for request in api.requests]
        assert len(bodies) == len(set(bodies))
    assert run.lake.published("dataset", "dialogues", run.name)


def _until(true: "object", timeout_s: float = 10.0) -> None:
    assert callable(true)
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
