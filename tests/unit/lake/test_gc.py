from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from parrot_core.errors import StorageError
from parrot_core.execution.attempt import run_shard
from parrot_core.execution.runs import begin_run
from parrot_core.lake import gc
from parrot_core.lake.holder import Holder, this_process
from parrot_core.lake.lake import Lake
from parrot_core.lake.leases import Lease, LeaseTimes, take
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, drive

ELSEWHERE = Holder(worker="far:1", boot="another machine", pids="pid:[1]", pid=1, started=1)
LOSER = "shards/00000-aaaaaaaaaaaa-0.parquet"
GRACE = timedelta(hours=1)


def later(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def found(lake: Lake, grace: timedelta = GRACE, hours: float = 2) -> dict[str, str]:
    """Path → why of what would be removed in two hours from now."""
    return {item.path: item.why for item in gc.collect(lake, grace, later(hours)).garbage}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return begin_run(minimal_recipe(str(tmp_path / "lake")))


def hold(run: Run, shard: int, attempt: str, holder: Holder = ELSEWHERE) -> Lease:
    state = StageRecords(run.lake.storage, run.name, "seeds")
    lease = take(state.shard(shard).claims, attempt, holder, LeaseTimes(expiry_s=60, renew_s=15))
    assert isinstance(lease, Lease)
    return lease


def test_what_losing_attempts_left_in_a_published_version_is_removed_and_nothing_else(
    run: Run,
) -> None:
    drive(run, SeedStage())
    storage = run.lake.storage
    before = storage.list("")
    storage.write_bytes(f"datasets/seeds/test/{LOSER}", b"x" * 10)
    storage.write_bytes("datasets/seeds/test/NOTES.md", b"of a person")
    storage.write_bytes("runs/test/seeds/shards/00000/journal/late.parquet", b"late")
    collection = gc.collect(run.lake, GRACE, later(2))
    assert {item.path: item.why for item in collection.garbage} == {
        f"datasets/seeds/test/{LOSER}": gc.WHY_LOST,
        "runs/test/seeds/shards/00000/journal/late.parquet": gc.WHY_JOURNAL,
    }
    assert collection.bytes == 14
    gc.remove(run.lake, collection)
    assert storage.list("") == sorted([*before, "datasets/seeds/test/NOTES.md"])
    gc.remove(run.lake, collection)  # again: what is gone is gone


def test_what_a_preview_bought_is_kept_until_its_stage_is_published_or_a_month_has_passed(
    run: Run,
) -> None:
    drive(run, SeedStage())
    storage = run.lake.storage
    folders = ("test/seeds", "test/synthesize", "never-run/seeds")
    bought = [f"previews/{folder}/a.parquet" for folder in folders]
    for path in bought:
        storage.write_bytes(path, b"paid for")
    assert found(run.lake) == {bought[0]: gc.WHY_PREVIEW}
    assert found(run.lake, hours=24 * 31) == dict.fromkeys(bought, gc.WHY_PREVIEW)


def test_a_resume_finds_all_that_it_needs(run: Run) -> None:
    """An unfinished run, abandoned for long: journals and finished shards stay."""
    stage = SeedStage()
    stage.failing = {1}
    with pytest.raises(Exception, match="partially failed"):
        drive(run, stage)
    storage = run.lake.storage
    storage.write_bytes("runs/test/seeds/shards/00001/journal/paid.parquet", b"paid for")
    storage.write_bytes("datasets/seeds/test/shards/00001-bbbbbbbbbbbb-0.parquet", b"crashed")
    kept = set(storage.list("")) - {"datasets/seeds/test/shards/00001-bbbbbbbbbbbb-0.parquet"}
    gc.remove(run.lake, gc.collect(run.lake, GRACE, later(1000)))
    assert set(storage.list("")) == kept
    storage.delete(["runs/test/seeds/shards/00001/journal/paid.parquet"])
    stage.failing = set()
    assert drive(run, stage).accounting.rows_out == 3


def test_a_lease_that_nobody_has_ended_keeps_its_files_however_old(run: Run) -> None:
    """Its holder may be paused, and commit when it wakes."""
    hold(run, 0, "aaaaaaaaaaaa")
    run.lake.storage.write_bytes(f"datasets/seeds/test/{LOSER}", b"may yet be committed")
    assert found(run.lake, hours=1000) == {}
    superseded = StageRecords(run.lake.storage, "test", "seeds").shard(0).claims.read(1)
    assert superseded is not None
    successor = superseded.model_copy(update={"number": 2, "attempt": "b" * 12})
    StageRecords(run.lake.storage, "test", "seeds").shard(0).claims.put(successor)
    assert found(run.lake, hours=1000) == {f"datasets/seeds/test/{LOSER}": gc.WHY_LOST}


def test_files_of_a_process_that_ended_on_this_machine_are_removed(run: Run) -> None:
    gone = this_process().model_copy(update={"started": 1})
    hold(run, 0, "aaaaaaaaaaaa", gone)
    run.lake.storage.write_bytes(f"datasets/seeds/test/{LOSER}", b"killed")
    assert found(run.lake) == {f"datasets/seeds/test/{LOSER}": gc.WHY_LOST}


def test_a_run_in_which_something_was_just_written_is_left_alone(run: Run) -> None:
    drive(run, SeedStage())
    run.lake.storage.write_bytes(f"datasets/seeds/test/{LOSER}", b"x")
    collection = gc.collect(run.lake, GRACE, later(0.5))
    assert (collection.garbage, collection.live_runs) == ((), ("test",))
    assert len(gc.collect(run.lake, timedelta(minutes=10), later(0.5)).garbage) == 1


def test_without_grace_a_lease_that_is_being_renewed_still_protects_its_run(run: Run) -> None:
    drive(run, SeedStage())
    state = StageRecords(run.lake.storage, run.name, "synthesize")
    take(state.shard(0).claims, "c" * 12, ELSEWHERE, LeaseTimes(expiry_s=60, renew_s=15))
    run.lake.storage.write_bytes(f"datasets/seeds/test/{LOSER}", b"x")
    zero = timedelta(0)
    assert gc.collect(run.lake, zero, later(0)).live_runs == ("test",)
    assert found(run.lake, zero, hours=0.1) == {f"datasets/seeds/test/{LOSER}": gc.WHY_LOST}


def test_one_live_run_does_not_protect_another(tmp_path: Path) -> None:
    lake = str(tmp_path / "lake")
    for name in ("old", "new"):
        run = begin_run(minimal_recipe(lake, name=name))
        drive(run, SeedStage(1))
        run.lake.storage.write_bytes(f"datasets/seeds/{name}/{LOSER}", b"x")
    state = StageRecords(run.lake.storage, "new", "synthesize")
    take(state.shard(0).claims, "c" * 12, ELSEWHERE, LeaseTimes(expiry_s=60, renew_s=15))
    assert found(run.lake, timedelta(0), 0) == {f"datasets/seeds/old/{LOSER}": gc.WHY_LOST}


def test_writes_that_were_never_finished_are_removed_when_they_are_old(run: Run) -> None:
    drive(run, SeedStage())
    for path in ("runs/test/.tmp-1", "datasets/seeds/test/shards/.tmp-2", "runs/test/a/.tmp-3"):
        run.lake.storage.write_bytes(path, b"half")
    assert set(found(run.lake).values()) == {gc.WHY_TEMPORARY}
    assert len(found(run.lake)) == 3
    assert found(run.lake, hours=0.5) == {}


def test_records_of_workers_that_are_gone_are_removed(run: Run) -> None:
    run.lake.storage.write_json("runs/test/workers/w1.json", {})
    assert found(run.lake) == {"runs/test/workers/w1.json": gc.WHY_WORKER}


def test_data_of_a_run_whose_records_were_removed_goes_unless_it_is_published(run: Run) -> None:
    stage = SeedStage()
    stage.failing = {1}
    with pytest.raises(Exception, match="partially failed"):
        drive(run, stage)
    published = begin_run(minimal_recipe(str(run.lake.url), name="whole"))
    drive(published, SeedStage())
    storage = run.lake.storage
    whole = storage.list("datasets/seeds/whole")
    storage.delete(storage.list("runs"))
    collection = gc.collect(run.lake, GRACE, later(2))
    assert {item.why for item in collection.garbage} == {gc.WHY_NO_RUN}
    gc.remove(run.lake, collection)
    assert storage.list("") == whole


def test_nothing_is_judged_beside_a_manifest_that_cannot_be_read(run: Run) -> None:
    drive(run, SeedStage())
    run.lake.storage.write_json("datasets/seeds/test/manifest.json", {"format": 9})
    with pytest.raises(StorageError, match=r"seeds/test/manifest\.json: not a manifest we know"):
        gc.collect(run.lake, GRACE, later(2))


def test_a_shard_that_is_committed_while_garbage_is_sought_loses_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = SeedStage(1)
    files = type(run.lake.storage).files

    def slow_listing(self: Any, prefix: str) -> Any:
        listed = files(self, prefix)
        if StageRecords(run.lake.storage, "test", "seeds").shard(0).receipt() is None:
            run_shard(run, stage, stage.plan(run)[0], None)
        return listed

    monkeypatch.setattr(type(run.lake.storage), "files", slow_listing)
    gc.remove(run.lake, gc.collect(run.lake, timedelta(0), later(2)))
    monkeypatch.undo()
    assert drive(run, stage).accounting.rows_out == 1


def test_checkpoints_go_when_their_training_is_done_or_can_not_finish_them(run: Run) -> None:
    """A whole checkpoint of an open training stays: another machine may go on from it."""
    storage = run.lake.storage
    place = "runs/test/seeds/shards/00001/checkpoints"
    hold(run, 1, "b" * 12).release()
    storage.write_bytes(f"{place}/{'a' * 12}/00000010/model.bin", b"half")
    storage.write_bytes(f"{place}/{'b' * 12}/00000020/model.bin", b"whole")
    storage.write_bytes(f"{place}/{'b' * 12}/00000020/checkpoint.json", b"{}")
    assert found(run.lake) == {f"{place}/{'a' * 12}/00000010/model.bin": gc.WHY_LOST}
    drive(run, SeedStage())
    storage.write_bytes(f"{place}/{'b' * 12}/00000020/model.bin", b"late")
    assert found(run.lake) == {f"{place}/{'b' * 12}/00000020/model.bin": gc.WHY_CHECKPOINT}


def test_the_checkpoint_that_a_holder_is_still_writing_stays(run: Run) -> None:
    hold(run, 1, "b" * 12)
    path = f"runs/test/seeds/shards/00001/checkpoints/{'b' * 12}/00000020/model.bin"
    run.lake.storage.write_bytes(path, b"half")
    assert found(run.lake, hours=1000) == {}
