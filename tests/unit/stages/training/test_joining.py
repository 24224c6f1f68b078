"""A node that joins trainings: when it starts its part, when again, and when it gives up."""

import sys
from contextlib import suppress

import pytest

from parrot_core.errors import RunStopped, TrainingFailed
from parrot_core.lake.holder import this_process
from parrot_core.lake.leases import Claim
from parrot_core.recipe import Devices, TrainSft
from parrot_core.stages.training import joining, launch
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.nodes import TrainingNode

NODE = TrainingNode(rank=1, count=2, address="first", port=29400)


class Clock:
    """Time that passes when a test says so."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def job(tmp_path):
    settings = TrainSft(base="x", devices=Devices(nodes=2))
    return TrainingJob(
        kind="sft", model="", folder=tmp_path / "n", settings=settings, seed=1, data_sha256=""
    )


@pytest.fixture
def joined(tmp_path, monkeypatch, clock, job):
    """A node whose part is this: a line in a file outside its folder, and an exit status."""
    log = tmp_path / "starts"
    log.touch()
    status = tmp_path / "status"
    status.write_text("0")
    program = (
        f"open({str(log)!r}, 'a').write('x'); raise SystemExit(int(open({str(status)!r}).read()))"
    )
    monkeypatch.setattr(launch, "command_of", lambda *_: [sys.executable, "-c", program])
    with joining.JoinedTraining(job, NODE, clock=clock) as made:
        made.starts, made.status = log, status
        yield made


def claim(number, state="held", renewals=0):
    return Claim(
        number=number,
        state=state,
        attempt="a",
        holder=this_process(),
        expiry_s=60,
        renewals=renewals,
    )


def settle(joined, held):
    """Let the part that was started end, and look once more."""
    joined(held)
    if joined._process is not None:
        joined._process.wait(30)
        joined(held)
    return len(joined.starts.read_text())


def test_nothing_is_started_before_the_first_node_is_at_the_training(joined):
    assert settle(joined, None) == 0
    assert settle(joined, claim(1, "released")) == 0
    assert settle(joined, claim(2)) == 1


def test_a_part_that_came_to_its_end_is_done_once_an_attempt(joined, clock):
    assert settle(joined, claim(1)) == 1
    clock.now += 60
    assert settle(joined, claim(1, renewals=4)) == 1
    assert settle(joined, claim(2)) == 2


def test_a_part_that_failed_is_begun_again_after_a_while(joined, clock):
    joined.status.write_text("3")
    assert settle(joined, claim(1)) == 1
    assert settle(joined, claim(1)) == 1
    clock.now += joining.RETRY_S
    assert settle(joined, claim(1)) == 2


def test_a_first_node_that_gives_no_sign_of_life_is_not_waited_for_for_ever(joined, clock):
    for renewals in range(9):  # it lives
        clock.now += joining.PATIENCE_S - 1
        joined(claim(1, renewals=renewals))
    clock.now += joining.PATIENCE_S + 1
    with pytest.raises(TrainingFailed, match=r"node 1 of 2 has waited 10 minutes .* \(first\)"):
        joined(claim(1, renewals=8))


def test_a_node_that_is_told_to_stop_lets_the_training_save_a_checkpoint_first(
    tmp_path, monkeypatch, job
):
    saved = tmp_path / "saved"
    waits = f"""
import pathlib, time
while not pathlib.Path({str(job.stop_file)!r}).exists(): time.sleep(0.02)
pathlib.Path({str(saved)!r}).touch()
"""
    monkeypatch.setattr(launch, "command_of", lambda *_: [sys.executable, "-c", waits])
    with suppress(RunStopped), joining.JoinedTraining(job, NODE) as made:
        made(claim(1))
        raise RunStopped("stopped by SIGTERM")
    assert saved.exists()
