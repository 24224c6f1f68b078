"""One training, killed again and again at the worst moments: its weights are the unbroken one's."""

import json

import pytest

from parrot_core.errors import RunStopped, TrainingFailed
from parrot_core.stages.training.launch import run_training
from tests.support.training.kill_points import MID_STEP, START
from tests.support.training.tiny_jobs import SESSION, ask_job, weights
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine

HALF_AN_OPTIMISER = """
inner = torch.save
def save(value, path, *arguments, **options):
    inner(value, path, *arguments, **options)
    if str(path).endswith('optimizer.pt'):
        os.truncate(path, os.path.getsize(path) // 2)
        die()
torch.save = save
"""
BEFORE_THE_SEAL = "before(reporting, 'seal', lambda folder: folder.name == 'checkpoint-20')"
HALF_REMOVED = """
def rotate(*arguments, output_dir=None, **options):
    old = sorted(Path(output_dir).glob('checkpoint-*'))
    if len(old) > 2:
        next(old[0].glob('optimizer.pt')).unlink()
        die()
trainer.rotate_checkpoints = rotate
"""
WHILE_PUBLISHING = "before(worker.shutil, 'rmtree', lambda path, *_: Path(path).name == 'model')"

KILLS = [
    (MID_STEP.format(7), 0),  # before the first checkpoint
    (HALF_AN_OPTIMISER, 0),
    (BEFORE_THE_SEAL, 0),
    (MID_STEP.format(25), 10),
    (HALF_REMOVED, 20),
    (WHILE_PUBLISHING, 20),
]
"""Where each process is killed, and the step at which it begins."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


def varied_job(folder, model):
    """Sessions of eleven lengths, so that no checkpoint falls on the end of an epoch."""
    job = ask_job(folder, model, max_steps=40)
    queries = ("Where is it? " + "And then? " * number for number in range(11))
    rows = ([{"role": "user", "content": query}, *SESSION[1:]] for query in queries)
    job.train_file.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    return job


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, model):
    """What nobody has interrupted, and its figures."""
    job = varied_job(tmp_path_factory.mktemp("unbroken") / "job", model)
    return job, run_training(job, lambda line: None)


def test_killed_at_any_point_it_ends_with_the_weights_of_an_unbroken_training(
    tmp_path, model, unbroken
):
    job = varied_job(tmp_path / "job", model)
    finish = ("", 40)
    for number, (script, begins) in enumerate([*KILLS, finish]):
        lines = []
        program = f"{START}\n{script}\nsys.exit(worker.main(sys.argv[1:]))"
        if number < len(KILLS):
            with pytest.raises(TrainingFailed, match="was killed"):
                run_training(job, lines.append, worker=("-c", program))
        else:
            result = run_training(job, lines.append, worker=("-c", program))
        begun = next(line["step"] for line in lines if "step" in line)
        assert begun == begins, f"process {number} began at another step"
    assert_same(job, result, unbroken)
    assert json.loads(job.metrics_file.read_text())["steps"] == 40


def assert_same(job, result, unbroken):
    """Figures and weights are those of the unbroken training, bit for bit."""
    import torch

    whole, figures = unbroken
    assert result["heldout"] == figures["heldout"]
    assert [p["loss"] for p in result["curve"]] == [p["loss"] for p in figures["curve"]]
    mine, theirs = weights(job), weights(whole)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


SLOW = """
import time
inner = trainer.Trainer.training_step
def step(self, *arguments, **options):
    time.sleep(0.1)
    return inner(self, *arguments, **options)
trainer.Trainer.training_step = step
"""


def test_told_to_stop_it_saves_the_step_it_is_in_and_takes_no_step_twice(tmp_path, model, unbroken):
    job = varied_job(tmp_path / "job", model)
    program = f"{START}\n{SLOW}\nsys.exit(worker.main(sys.argv[1:]))"

    def stop(line):
        if line.get("step", 0) >= 13:
            raise RunStopped("stopped by SIGTERM")

    with pytest.raises(RunStopped):
        run_training(job, stop, worker=("-c", program))
    result = run_training(job, lambda line: None)
    told = [json.loads(line) for line in job.progress_file.read_text().splitlines()]
    assert [line["step"] for line in told if "loss" in line] == list(range(1, 41))
    begun = [line["step"] for line in told if "step" in line and "loss" not in line]
    assert 13 <= begun[1] < 20, "from the step, not from the checkpoint before it"
    assert_same(job, result, unbroken)
