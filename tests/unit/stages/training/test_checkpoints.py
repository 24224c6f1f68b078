"""Which checkpoints are whole, on this machine and in the lake."""

import logging
import shutil
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.errors import LeaseLost
from parrot_core.lake.checkpoints import Checkpoints
from parrot_core.lake.storage import Storage
from parrot_core.recipe import TrainSft
from parrot_core.stages.training.checkpoints import (
    SEAL,
    carried_to_lake,
    identity_of,
    is_whole,
    newest,
    remove_unfinished,
    resume_from_lake,
    seal,
)
from parrot_core.stages.training.job import TrainingJob

FILES = {"model.safetensors": b"m" * 99, "optimizer.pt": b"o" * 50, "sub/rng_state.pth": b"r"}


def make_checkpoint(folder, step, *, sealed=True, mark=b""):
    checkpoint = folder / f"checkpoint-{step}"
    for name, content in FILES.items():
        (checkpoint / name).parent.mkdir(parents=True, exist_ok=True)
        (checkpoint / name).write_bytes(content + mark)
    if sealed:
        seal(checkpoint)
    return checkpoint


def make_job(tmp_path, model="x", seed=1):
    tmp_path.mkdir(parents=True, exist_ok=True)
    settings = TrainSft(base="x")
    return TrainingJob(
        kind="sft", model=model, folder=tmp_path, settings=settings, seed=seed, data_sha256="d"
    )


def kept_by(tmp_path, attempt="a" * 12, check=lambda: None):
    return Checkpoints(Storage(str(tmp_path / "lake")), "runs/r/train-sft/x", attempt, check)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


@given(st.data())
def test_a_checkpoint_that_lacks_anything_is_not_whole(tmp_path_factory, data):
    """Cut short by a kill, or half removed: whichever files are gone or shorter."""
    folder = tmp_path_factory.mktemp("c")
    checkpoint = make_checkpoint(folder, 10)
    assert is_whole(checkpoint)
    name = data.draw(st.sampled_from([*FILES, SEAL]))
    content = (checkpoint / name).read_bytes()
    left = data.draw(st.integers(-1, len(content) - 1))
    if left < 0:
        (checkpoint / name).unlink()
    else:
        (checkpoint / name).write_bytes(content[:left])
    assert not is_whole(checkpoint)
    assert newest(folder) is None


def test_the_newest_whole_checkpoint_counts(tmp_path):
    make_checkpoint(tmp_path, 9)
    make_checkpoint(tmp_path, 100)
    make_checkpoint(tmp_path, 200, sealed=False)
    assert newest(tmp_path).name == "checkpoint-100"


def test_what_a_killed_process_left_of_a_checkpoint_is_not_sealed_with_the_next(tmp_path):
    whole = make_checkpoint(tmp_path, 9)
    make_checkpoint(tmp_path, 18, sealed=False)
    damaged = make_checkpoint(tmp_path, 27)
    (damaged / "optimizer.pt").unlink()
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [whole]
    assert is_whole(whole)


def test_another_machine_goes_on_from_what_the_lake_keeps(tmp_path):
    here, there = make_job(tmp_path / "here", "/a/model"), make_job(tmp_path / "there", "/b/model")
    identity = identity_of(here, "lake:parrot-sft")
    assert identity == identity_of(there, "lake:parrot-sft")
    original = make_checkpoint(here.checkpoints, 40)
    with carried_to_lake(here, kept_by(tmp_path), identity):
        deadline = time.monotonic() + 30
        while kept_by(tmp_path).newest(identity) is None and time.monotonic() < deadline:
            time.sleep(0.05)
    resume_from_lake(there, kept_by(tmp_path), identity)
    assert contents(newest(there.checkpoints)) == contents(original)
    assert [p.name for p in there.checkpoints.iterdir()] == ["checkpoint-40"]


def test_a_training_that_fails_leaves_its_last_checkpoint_in_the_lake(tmp_path):
    job = make_job(tmp_path / "job")
    make_checkpoint(job.checkpoints, 7)
    with pytest.raises(KeyError), carried_to_lake(job, kept_by(tmp_path), "i"):
        raise KeyError
    assert kept_by(tmp_path).newest("i").step == 7


def test_only_the_newest_stays_in_the_lake(tmp_path):
    kept = kept_by(tmp_path)
    for step in (10, 20):
        kept.keep(make_checkpoint(tmp_path, step), list(FILES), step, "i")
    other = kept_by(tmp_path, "b" * 12)
    other.keep(make_checkpoint(tmp_path, 30), list(FILES), 30, "i")
    files = kept.newest("i").files
    assert [entry.path for entry in files] == list(FILES)
    stored = Storage(str(tmp_path / "lake")).list("")
    assert len(stored) == len(FILES) + 1
    assert all("/bbbbbbbbbbbb/00000030/" in path for path in stored)


def test_a_half_uploaded_checkpoint_is_never_resumed_from(tmp_path):
    """Killed at each of its writes in turn, what was kept before still stands."""

    class KilledError(Exception):
        pass

    kept_by(tmp_path).keep(make_checkpoint(tmp_path, 10), list(FILES), 10, "i")
    for survived in range(len(FILES) + 1):
        left = iter(range(survived))

        def check(left=left):
            if next(left, None) is None:
                raise KilledError

        with pytest.raises(KilledError):
            kept_by(tmp_path, "b" * 12, check).keep(
                make_checkpoint(tmp_path, 20), list(FILES), 20, "i"
            )
        assert kept_by(tmp_path).newest("i").step == 10
    job = make_job(tmp_path / "job")
    resume_from_lake(job, kept_by(tmp_path), "i")
    assert newest(job.checkpoints).name == "checkpoint-10"


def test_a_checkpoint_of_another_training_is_left_alone(tmp_path):
    kept = kept_by(tmp_path)
    kept.keep(make_checkpoint(tmp_path, 10), list(FILES), 10, "another")
    job = make_job(tmp_path / "job")
    resume_from_lake(job, kept, "i")
    assert newest(job.checkpoints) is None
    first, second = (identity_of(make_job(tmp_path, seed=seed), "x") for seed in (1, 2))
    assert first != second


def test_a_newer_checkpoint_on_this_machine_is_taken_instead(tmp_path):
    kept = kept_by(tmp_path)
    kept.keep(make_checkpoint(tmp_path, 10, mark=b"lake"), list(FILES), 10, "i")
    job = make_job(tmp_path / "job")
    make_checkpoint(job.checkpoints, 20)
    resume_from_lake(job, kept, "i")
    assert [p.name for p in job.checkpoints.iterdir()] == ["checkpoint-20"]


def test_a_damaged_checkpoint_is_not_resumed_from_and_named(tmp_path, caplog):
    kept = kept_by(tmp_path)
    kept.keep(make_checkpoint(tmp_path, 10), list(FILES), 10, "i")
    stored = next((tmp_path / "lake").rglob("optimizer.pt"))
    stored.write_bytes(b"p" * stored.stat().st_size)
    job = make_job(tmp_path / "job")
    resume_from_lake(job, kept, "i")
    assert "optimizer.pt: expected SHA-256" in caplog.text
    assert list(job.checkpoints.glob("*")) == []


def test_a_checkpoint_that_is_removed_on_its_way_leaves_nothing_behind(tmp_path, monkeypatch):
    job = make_job(tmp_path / "job")
    checkpoint = make_checkpoint(job.checkpoints, 10)

    def vanish():
        shutil.rmtree(checkpoint, ignore_errors=True)

    with pytest.raises(KeyError), carried_to_lake(job, kept_by(tmp_path, check=vanish), "i"):
        raise KeyError
    assert Storage(str(tmp_path / "lake")).list("") == []


def test_a_superseded_worker_keeps_nothing_and_says_so(tmp_path, caplog):
    def check():
        raise LeaseLost("shard 0", 1)

    job = make_job(tmp_path / "job")
    make_checkpoint(job.checkpoints, 10)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(KeyError),
        carried_to_lake(job, kept_by(tmp_path, check=check), "i"),
    ):
        raise KeyError
    assert "another has taken over" in caplog.text
    assert Storage(str(tmp_path / "lake")).list("") == []
