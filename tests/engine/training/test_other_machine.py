"""A training that dies on one machine goes on, from the lake, on another with an empty disk."""

from dataclasses import replace

import pytest

from parrot_core.errors import TrainingFailed
from parrot_core.stages.training.launch import run_training
from parrot_core.stages.training.stages import TrainAskStage
from tests.support.lakes.stage_work import FakeWork, small_recipe
from tests.support.training.kill_points import MID_STEP, START
from tests.support.training.tiny_jobs import SESSION
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


def work_on(folder, model, machine):
    """The same shard of the same run and lake, with a disk of its own."""
    settings = {
        "base": str(model),
        "max_length": 128,
        "max_steps": 30,
        "epochs": 100,
        "batch_size": 4,
        "learning_rate": 3e-3,
        "save_steps": 10,
        "precision": "fp32",
        "eval_examples": 0,
    }
    rows = [
        {"id": f"s{n}", "split": "train", "messages": [*SESSION[:2], *SESSION[n % 3 :]]}
        for n in range(8)
    ]
    work = FakeWork(small_recipe(train_ask=settings), folder, rows=rows)
    work.run = replace(work.run, work_dir=folder / machine)
    return work


def test_a_training_goes_on_from_the_lake_on_another_machine(tmp_path, model):
    import torch
    from safetensors.torch import load_file

    def dies(job, on_progress):
        program = f"{START}\n{MID_STEP.format(25)}\nsys.exit(worker.main(sys.argv[1:]))"
        return run_training(job, on_progress, worker=("-c", program))

    steps = []

    def lives(job, on_progress):
        return run_training(job, lambda line: steps.append(line.get("step")))

    with pytest.raises(TrainingFailed, match="was killed"):
        TrainAskStage(dies).process(work_on(tmp_path / "lake", model, "first"))
    other = work_on(tmp_path / "lake", model, "second")
    TrainAskStage(lives).process(other)
    assert next(step for step in steps if step is not None) == 20
    unbroken = work_on(tmp_path / "unbroken", model, "third")
    TrainAskStage().process(unbroken)
    mine, theirs = (load_file(w.models[0] / "model.safetensors") for w in (other, unbroken))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert other.metrics["template"] == "own"
