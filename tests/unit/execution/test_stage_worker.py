"""Workers pull shards: they share what is free, pass over what is held, and stop when asked."""

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.types import EngineDied
from parrot_core.errors import LeaseLost, PartiallyFailed, RunStopped, ShardHeld, StorageError
from parrot_core.execution.runs import begin_run
from parrot_core.execution.shard_queue import Pulled, ShardQueue
from parrot_core.execution.stage_worker import OpenStage, complete_stage, open_stage
from parrot_core.lake.leases import Claim
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.storage import Storage
from parrot_core.stages.base import ShardWork
from parrot_core.stages.synthesis.stage import SynthesizeStage
from parrot_core.telemetry.stop_request import stop_request
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, SeedStage, ToyModelStage, drive, synthesis
from tests.support.servers.fake_api import Reply, canonical, echo_turns, serving


def work(opened: OpenStage, pool: ThreadPoolExecutor) -> None:
    """A worker as a flow is one, without Prefect."""

    def do(pulled: Pulled) -> None:
        try:
            opened.run_shard(pulled.shard, pulled.watched, wait=False)
        except (ShardHeld, LeaseLost):
            return

    def submit(pulled: Pulled) -> Future[None]:
        return pool.submit(do, pulled)

    opened.work_through(submit)


def test_a_stop_keeps_what_is_in_flight_counts_no_attempt_and_buys_nothing_twice(
    tmp_path: Path,
) -> None:
    heard = threading.Event()

    def slow(number: int, body: dict[str, Any]) -> Reply:
        if number == 12:
            heard.set()
        return Reply(echo_turns(number, body).text, delay_s=0.3)

    with serving(slow) as api, ThreadPoolExecutor(4) as pool:
        run = synthesis(tmp_path, api.base_url)
        stage = SynthesizeStage()
        stopper = threading.Thread(
            target=lambda: heard.wait(20) and stop_request().ask(RunStopped("stopped by a test"))
        )
        stopper.start()
        try:
            with (
                pytest.raises(RunStopped, match="stopped by a test"),
                open_stage(run, stage, Budget(None)) as opened,
            ):
                work(opened, pool)
        finally:
            stop_request().reset()
            stopper.join()
        records = StageRecords(run.lake.storage, "test", "synthesize")
        assert all(records.shard(n).failures() == [] for n in range(SEEDS // 6))
        with open_stage(run, stage, Budget(None)) as opened:
            work(opened, pool)
        assert opened.publish().accounting.rows_out == SEEDS
    assert set(Counter(canonical(body) for body in api.requests).values()) == {1}


def test_two_workers_share_the_shards_and_both_end_well(tmp_path: Path) -> None:
    run = begin_run(minimal_recipe(str(tmp_path), shards_at_once=1))
    meeting = threading.Barrier(2, timeout=20)

    class Meeting(SeedStage):
        def process(self, work: Any) -> None:
            if work.plan.index < 2:  # each worker has one of the first two
                meeting.wait()
            super().process(work)

    stages = [Meeting(6), Meeting(6)]

    def one(stage: SeedStage) -> None:
        with ThreadPoolExecutor(1) as pool, open_stage(run, stage, Budget(None)) as opened:
            work(opened, pool)
            opened.publish()

    with ThreadPoolExecutor(2) as both:
        list(both.map(one, stages))
    assert sorted(stages[0].processed + stages[1].processed) == list(range(6))
    assert all(stage.processed for stage in stages)
    assert StageRecords(run.lake.storage, "test", "seeds").shard(0).failures() == []


def test_a_process_that_is_to_help_takes_no_shard_and_ends_well_when_it_is_done(
    tmp_path: Path,
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    helped = threading.Event()
    claims: list[str | None] = []

    class Waiting(SeedStage):
        def process(self, work: Any) -> None:
            assert helped.wait(20)
            super().process(work)

    class Help:
        def __enter__(self) -> "Help":
            return self

        def __exit__(self, *_: object) -> None:
            claims.append("ended")

        def __call__(self, claim: Claim | None) -> None:
            claims.append(claim and claim.state)
            if claim is not None:
                helped.set()

    class Helping(SeedStage):
        def joins(self, run: Run) -> Help:
            return Help()

    first, other = Waiting(1), Helping(1)

    def one(stage: SeedStage) -> None:
        with ThreadPoolExecutor(1) as pool, open_stage(run, stage, Budget(None)) as opened:
            work(opened, pool)
            assert opened.publish().accounting.rows_out == 1

    with ThreadPoolExecutor(2) as both:
        list(both.map(one, (other, first)))
    assert (first.processed, other.processed) == ([0], [])
    assert "held" in claims
    assert claims[-1] == "ended"


def test_a_shard_that_failed_here_is_not_pulled_again_and_the_others_are_done(
    tmp_path: Path,
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    stage = SeedStage(4)
    stage.failing = {2}
    with ThreadPoolExecutor(2) as pool, open_stage(run, stage, Budget(None)) as opened:
        work(opened, pool)
    assert sorted(stage.processed) == [0, 1, 2, 3]


def full_disk(run: Run, monkeypatch: pytest.MonkeyPatch, within: str) -> None:
    """From now on nothing can be written below a folder of the lake."""
    write = Storage.put_if_absent

    def put(storage: Storage, path: str, data: bytes) -> bool:
        if within in path:
            raise StorageError(f"{path}: can't write: no space left on the device")
        return write(storage, path, data)

    monkeypatch.setattr(Storage, "put_if_absent", put)


@pytest.mark.parametrize("within", ["/shards/00001/attempt-", "/shards/00001/claims/"])
def test_the_last_line_names_the_shard_where_the_lake_could_keep_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, within: str
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    stage = SeedStage()
    stage.failing = {1}
    full_disk(run, monkeypatch, within)
    with pytest.raises(PartiallyFailed, match=r"'seeds' failed \(shard 1: (?!not run)"):
        drive(run, stage)


def test_a_lease_that_cannot_be_taken_is_a_failed_attempt_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    full_disk(run, monkeypatch, "/shards/00001/claims/")
    with pytest.raises(PartiallyFailed):
        drive(run, SeedStage())
    (kept,) = StageRecords(run.lake.storage, run.name, "seeds").shard(1).failures()
    assert kept.message.startswith("run 'test', shard 1 of 'seeds': its lease can't be taken: ")
    assert kept.message.endswith("no space left on the device")
    assert not kept.counts


def test_what_ended_a_stage_is_raised_where_the_lake_cannot_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))

    def full(*_: object) -> None:
        raise StorageError("failure.json: can't write: no space left on the device")

    def work() -> Manifest:
        raise PartiallyFailed("test", "seeds", {1: "no space"}, 3)

    monkeypatch.setattr(StageRecords, "record_failure", full)
    with pytest.raises(PartiallyFailed, match="shard 1: no space"):
        complete_stage(run, SeedStage(), work)


def test_a_lake_that_fails_between_shards_stops_this_stage_and_not_what_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))

    def unreachable(_: object) -> None:
        raise StorageError("the lake can't be reached")

    def attempt() -> Manifest:
        with open_stage(run, SeedStage(), Budget(None)) as opened, ThreadPoolExecutor(2) as pool:
            work(opened, pool)
        return opened.publish()

    with monkeypatch.context() as broken:
        broken.setattr(ShardQueue, "pull", unreachable)
        with pytest.raises(StorageError, match="can't be reached"):
            complete_stage(run, SeedStage(), attempt)
    assert complete_stage(run, SeedStage(), attempt).accounting.rows_out == 3


class Dying(ToyModelStage):
    """Keeps a step, then its engine dies; from the last step on it gets no further."""

    steps: ClassVar[tuple[int, ...]] = (100, 200, 300, 300, 300, 300)

    def __init__(self) -> None:
        self.died = 0

    def process(self, work: ShardWork) -> None:
        file = work.run.work_dir / "weights.bin"
        file.write_bytes(b"w")
        work.checkpoints().keep(file.parent, [file.name], self.steps[self.died], "training")
        self.died += 1
        raise EngineDied(f"death {self.died}")


def test_an_engine_that_dies_is_started_again_always_after_progress_else_as_often_as_retries_go(
    tmp_path: Path,
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path), shard_retries=1))
    stage = Dying()

    def attempt() -> Manifest:
        with open_stage(run, stage, Budget(None)) as opened, ThreadPoolExecutor(2) as pool:
            work(opened, pool)
        return opened.publish()

    with pytest.raises(EngineDied, match="death 5"):
        complete_stage(run, stage, attempt)
