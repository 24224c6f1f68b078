"""One training, killed again and again at the worst moments: its weights are the unbroken one's."""

import json

import pytest

from parrot_core.errors import TrainingFailed
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


def test_killed_at_any_point_it_ends_with_the_weights_of_an_unbroken_training(tmp_path, model):
    import torch

    unbroken = varied_job(tmp_path / "unbroken", model)
    figures = run_training(unbroken, lambda line: None)
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
    assert result["heldout"] == figures["heldout"]
    assert [p["loss"] for p in result["curve"]] == [p["loss"] for p in figures["curve"]]
    mine, theirs = weights(job), weights(unbroken)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert json.loads(job.metrics_file.read_text())["steps"] == 40
