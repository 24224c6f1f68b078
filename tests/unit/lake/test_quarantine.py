from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.limits.limits import Budget
from parrot_core.errors import PartiallyFailed, ShardQuarantined, StorageError, TrainingFailed
from parrot_core.execution.attempt import run_shard
from parrot_core.execution.plans import plan_stage
from parrot_core.execution.runs import begin_run, release_quarantine
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.attempts import AttemptFailure
from parrot_core.lake.holder import this_process
from parrot_core.lake.journal import PROBE, Entry, answered
from parrot_core.lake.leases import Lease, LeaseTimes, take
from parrot_core.lake.quarantine import Quarantine
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.storage import Storage
from parrot_core.monitor.reader import read_run
from parrot_core.monitor.state import StageSpec
from parrot_core.stages.base import ShardWork
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, ToyModelStage, drive, synthesis
from tests.support.servers.fake_api import serving

NOW = "2026-01-01T00:00:00+00:00"


def begun(tmp_path: Path, max_attempts: int = 2) -> tuple[Run, SeedStage]:
    stage = SeedStage()
    stage.failing = {1}
    return begin_run(minimal_recipe(str(tmp_path), max_attempts=max_attempts)), stage


def failed(run: Run, stage: SeedStage) -> PartiallyFailed:
    with pytest.raises(PartiallyFailed) as failure:
        drive(run, stage)
    return failure.value


def test_a_shard_that_failed_too_often_is_skipped_and_named_with_its_last_error(
    tmp_path: Path,
) -> None:
    run, stage = begun(tmp_path)
    failed(run, stage)
    failed(run, stage)
    stage.processed = []
    error = failed(run, stage)
    assert stage.processed == []
    assert error.quarantined == {1}
    why = "in quarantine after 2 failed attempts, the last one: shard 1 can't be read"
    assert error.failures == {1: why}
    assert "`parrot retry test --quarantined`" in str(error)


def test_within_a_run_retries_stop_at_the_limit(tmp_path: Path) -> None:
    run, stage = begun(tmp_path)
    with open_stage(run, stage, Budget(None)) as opened:
        for _ in range(2):
            with pytest.raises(StorageError):
                opened.run_shard(opened.plan.shards[1])
        with pytest.raises(ShardQuarantined, match="shard 1 of 'seeds'"):
            opened.run_shard(opened.plan.shards[1])
    assert stage.processed == [1, 1]


def test_a_pardoned_shard_is_tried_as_often_as_a_new_one(tmp_path: Path) -> None:
    run, stage = begun(tmp_path)
    for _ in range(3):
        failed(run, stage)
    assert release_quarantine(run, [stage]) == {"seeds": [1]}
    assert release_quarantine(run, [stage]) == {}
    stage.processed = []
    for _ in range(3):
        failed(run, stage)
    assert stage.processed == [1, 1]
    release_quarantine(run, [stage])
    stage.failing = set()
    assert drive(run, stage).accounting.rows_out == 3


def test_a_worker_killed_in_mid_shard_counts_as_an_attempt(tmp_path: Path) -> None:
    run, stage = begun(tmp_path, max_attempts=2)
    shard = plan_stage(run, stage).shards[0]
    records = StageRecords(run.lake.storage, run.name, stage.name)
    gone = this_process("gone").model_copy(update={"started": 1})  # of our PID, but another

    def killed(shard: int) -> None:
        assert isinstance(take(records.shard(shard).claims, "a", gone, LeaseTimes()), Lease)

    killed(0)
    run_shard(run, stage, shard, None)
    assert [each.error_type for each in records.shard(0).failures()] == ["WorkerLost"]

    killed(2)
    stage.failing, stage.processed = {2}, []
    with pytest.raises(StorageError):
        run_shard(run, stage, plan_stage(run, stage).shards[2], None)
    with pytest.raises(ShardQuarantined):
        run_shard(run, stage, plan_stage(run, stage).shards[2], None)
    assert stage.processed == [2]

    one = begin_run(minimal_recipe(str(tmp_path), max_attempts=1), "one")
    records = StageRecords(one.lake.storage, one.name, stage.name)
    killed(0)
    with pytest.raises(ShardQuarantined, match="gone was killed, or silent"):
        run_shard(one, stage, plan_stage(one, stage).shards[0], None)
    assert stage.processed == [2]


class Broken(SynthesizeStage):
    """Buys all answers of a shard, then meets a bug."""

    def process(self, work: ShardWork) -> None:
        super().process(work)
        raise ZeroDivisionError("a bug")


def test_an_attempt_that_bought_new_answers_does_not_count(tmp_path: Path) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url, max_attempts=2)
        for _ in range(4):
            with pytest.raises(PartiallyFailed):
                drive(run, Broken())
        bought = len(api.requests)
        records = StageRecords(run.lake.storage, run.name, "synthesize").shard(0)
        assert [each.counts for each in records.failures()] == [False, True, True]
        held = records.quarantine()
        assert held is not None
        assert held.attempts == 2
        release_quarantine(run, [SynthesizeStage()])
        assert drive(run, SynthesizeStage()).accounting.rows_out
        assert len(api.requests) == bought


def test_a_tiny_request_that_only_asks_whether_anything_is_answered_is_no_progress() -> None:
    one = Entry("k1", "s1/t1/answer", "chat", "m", "text", "stop", 1, 1, 0.0, NOW)
    probe = replace(one, key="k2", sample=f"{one.sample}{PROBE}{NOW}")
    assert answered([one, probe]) == 1


class BrokenTraining(ToyModelStage):
    """Keeps a checkpoint, then fails."""

    step: ClassVar[int] = 100

    def process(self, work: ShardWork) -> None:
        file = work.run.work_dir / "weights.bin"
        file.write_bytes(b"w")
        work.checkpoints().keep(file.parent, [file.name], self.step, "training")
        raise TrainingFailed("lost a peer")


def test_a_training_that_reached_a_new_checkpoint_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path), max_attempts=2))
    for step in (100, 200, 200, 100):
        monkeypatch.setattr(BrokenTraining, "step", step)
        with pytest.raises(PartiallyFailed):
            drive(run, BrokenTraining())
    records = StageRecords(run.lake.storage, run.name, "train-ask").shard(0)
    assert [each.counts for each in records.failures()] == [False, False, True, True]
    assert records.quarantine() is not None


def test_a_journal_that_cannot_be_read_is_a_recorded_failure_that_counts(tmp_path: Path) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url)
        records = StageRecords(run.lake.storage, run.name, "synthesize").shard(0)
        plan_stage(run, SynthesizeStage())
        run.lake.storage.write_bytes(f"{records.journal_folder}/damaged.parquet", b"PAR1")
        with pytest.raises(PartiallyFailed):
            drive(run, SynthesizeStage())
    (failure,) = records.failures()
    assert "damaged journal file" in failure.message
    assert failure.counts


def test_reached_budgets_put_no_shard_into_quarantine(tmp_path: Path) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url, max_attempts=1)
        for _ in range(3):
            with pytest.raises(Exception, match="budget"):
                drive(run, SynthesizeStage(), Budget(1e-9))
        assert not Quarantine(run.lake.storage, run.name, "synthesize").held()
        assert drive(run, SynthesizeStage()).accounting.rows_out


def test_the_state_of_a_run_shows_its_quarantine(tmp_path: Path) -> None:
    run, stage = begun(tmp_path)
    specs = [StageSpec("seeds", "seeds", "dataset")]

    def shown() -> list[tuple[int, str, bool]]:
        state = read_run(run.lake, "test", specs, datetime.now(UTC)).stages[0]
        return [(each.index, each.status, each.quarantined) for each in state.shards]

    failed(run, stage)
    assert shown()[1] == (1, "failed", False)
    failed(run, stage)
    assert shown()[1] == (1, "failed", True)
    release_quarantine(run, [stage])
    assert shown()[1] == (1, "failed", False)


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 6))
def test_a_shard_is_held_exactly_when_enough_failures_count(
    tmp_path_factory: pytest.TempPathFactory, counts: list[bool], limit: int
) -> None:
    quarantine = Quarantine(Storage(str(tmp_path_factory.mktemp("lake"))), "r", "s")
    made: list[AttemptFailure] = []
    for each in counts:
        made.append(
            AttemptFailure(
                error_type="StorageError",
                message="m",
                worker="w",
                ended_at=datetime.fromisoformat(NOW),
                counts=each,
            )
        )
        quarantine.judge(0, made, limit, NOW)
    assert (0 in quarantine.held()) == (sum(counts) >= limit)
