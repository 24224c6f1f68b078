"""Trainings of two processes learn what one process learns, also when they are killed on the way.

The two are on two nodes, of which the second begins with an empty disk each time.

FSDP runs on CPUs over gloo, with the recipe's own settings; see ``fsdp_on_cpu.py``.
"""

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from parrot_core.errors import TrainingFailed
from parrot_core.recipe import Devices, TrainDpo
from parrot_core.stages.training.launch import WORKER, run_training
from tests.support.training.tiny_jobs import SESSION, make_job, weights
from tests.support.training.tiny_model import TEXT, build_tiny_model
from tests.support.training.two_nodes import TWO_NODES, train_on_two_nodes
from tests.support.training.varied_jobs import varied_job

pytestmark = pytest.mark.engine

FSDP = str(Path(__file__).parents[2] / "support" / "training" / "fsdp_on_cpu.py")
WORKERS = {None: WORKER, "ddp": WORKER, "fsdp": (FSDP,)}


def dpo_job(folder, model, **settings):
    chosen = {
        "max_length": 128,
        "max_steps": 3,
        "epochs": 9,
        "batch_size": 2,
        "per_device_batch_size": 2,
        "learning_rate": 1e-3,
        "precision": "fp32",
    }
    merged = TrainDpo(**chosen | settings)
    pairs = [
        {
            "prompt": SESSION[:3],
            "chosen": SESSION[3:],
            "rejected": [{"role": "assistant", "content": text}],
        }
        for text in TEXT[:4]
    ]
    return make_job(folder, "dpo", model, merged, pairs, pairs[:2])


def ask_of_two(folder, model):
    """Three steps of an epoch, each with a checkpoint after it."""
    return varied_job(folder, model, max_steps=3, save_steps=1, devices=TWO_NODES)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train once what several tests look at; without a strategy in one process."""
    root = tmp_path_factory.mktemp("trained")
    model = build_tiny_model(tmp_path_factory.mktemp("tiny"))

    @cache
    def train(kind, strategy):
        folder = root / f"{kind}-{strategy}"
        if kind == "ask" and strategy:
            job = ask_of_two(folder, model)
        elif kind == "ask":
            job = varied_job(folder, model, max_steps=3, report_to=("tensorboard",))
        else:
            job = dpo_job(folder, model, devices=TWO_NODES if strategy else Devices())
        run = train_on_two_nodes if strategy else run_training
        return job, run(job, lambda line: None, worker=WORKERS[strategy])

    return train


def test_curves_are_told_to_tensorboard_too(trained):
    alone, _ = trained("ask", None)
    (events,) = (alone.folder / "tensorboard").rglob("events.out.*")
    assert b"train/loss" in events.read_bytes()


@pytest.mark.parametrize(("kind", "strategy"), [("ask", "fsdp"), ("dpo", "fsdp"), ("dpo", "ddp")])
def test_two_processes_learn_what_one_learns(trained, kind, strategy):
    (alone, one), (shared, two) = trained(kind, None), trained(kind, strategy)
    assert (one["processes"], two["processes"]) == (1, 2)
    sharded = "FSDPLlamaForCausalLM, weights in DTensor" in shared.log_file.read_text()
    assert sharded == (strategy == "fsdp")
    for when in ("before", "after"):
        assert two["heldout"][when] == pytest.approx(one["heldout"][when], abs=2e-4)
    losses = [[point["loss"] for point in figures["curve"]] for figures in (one, two)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    for name, tensor in weights(alone).items():
        torch.testing.assert_close(weights(shared)[name], tensor, rtol=1e-2, atol=1e-4)


START = """
import os, runpy, signal, sys
import psutil, torch, transformers.trainer as trainer

def die(): os.kill(os.getpid(), signal.SIGKILL)
"""
ONE_IS_KILLED_WITH_HALF_ITS_PART_WRITTEN = """
inner = torch.save
def save(value, path, *arguments, **options):
    inner(value, path, *arguments, **options)
    if str(path).endswith('checkpoint-2/rng_state_1.pth'):
        os.truncate(path, os.path.getsize(path) // 2)
        die()
torch.save = save
"""
ALL_ARE_KILLED_IN_THE_THIRD_STEP = """
inner = trainer.Trainer.training_step
def step(self, *arguments, **options):
    if self.state.global_step == 2 and os.environ['RANK'] == '0':
        launcher = psutil.Process(os.getppid())
        for process in (launcher, *launcher.children()):
            if process.pid != os.getpid(): process.kill()
        die()
    return inner(self, *arguments, **options)
trainer.Trainer.training_step = step
"""
KILLS = [
    (ONE_IS_KILLED_WITH_HALF_ITS_PART_WRITTEN, 0, "by peer"),
    (ALL_ARE_KILLED_IN_THE_THIRD_STEP, 1, "(process 0)"),
]
"""What kills, the step at which the processes begin, and what is said of it."""


def dropping_out(folder):
    """A model that drops attention out at random: what it learns tells each random state."""
    build_tiny_model(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.2}))
    return folder


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_killed_processes_go_on_to_the_weights_of_an_unbroken_training(
    trained, tmp_path, strategy
):
    if strategy == "fsdp":
        unbroken, figures = trained("ask", "fsdp")
        model = Path(unbroken.model)
    else:
        model = dropping_out(tmp_path / "model")
        unbroken = ask_of_two(tmp_path / "unbroken", model)
        figures = train_on_two_nodes(unbroken, lambda line: None)
    job = ask_of_two(tmp_path / "job", model)
    lines = []

    def run(script):
        lines.clear()
        start = f"runpy.run_module({WORKER[1]!r}, run_name='__main__')"
        if strategy == "fsdp":
            start = f"runpy.run_path({FSDP!r}, run_name='__main__')"
        program = tmp_path / "program.py"
        program.write_text(f"{START}\n{script}\n{start}\n")
        return train_on_two_nodes(job, lines.append, worker=(str(program),))

    def begun():
        return next(line["step"] for line in lines if "step" in line)

    for script, begins, why in KILLS:
        with pytest.raises(TrainingFailed) as caught:
            run(script)
        assert begun() == begins
        said = str(caught.value)
        assert why in said
        assert "\n" not in said
    resumed = run("")
    assert begun() == 2
    assert resumed["heldout"] == figures["heldout"]
    assert [p["loss"] for p in resumed["curve"]] == [p["loss"] for p in figures["curve"]]
    mine, theirs = weights(job), weights(unbroken)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
