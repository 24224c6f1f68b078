"""Trainings of two processes: DDP and FSDP, killed and resumed, learn what one process learns.

FSDP runs on CPUs over gloo, with the recipe's own settings; see ``tests/fsdp_on_cpu.py``.
"""

import time
from pathlib import Path

import pytest

from parrot_core.recipe import Devices, TrainDpo
from parrot_core.training.launch import WORKER, run_training
from tests.engine.training.test_ways import HEAD, TAIL, varied_job
from tests.tiny_jobs import SESSION, make_job, weights
from tests.tiny_model import TEXT, build_tiny_model

pytestmark = pytest.mark.engine

FSDP = (str(Path(__file__).parents[2] / "fsdp_on_cpu.py"),)
SHARDED = "from parrot_core.training import worker\nworker.is_sharded = lambda trainer: True\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


def program(folder, script):
    path = folder / "program.py"
    path.write_text(HEAD + script + TAIL)
    return (str(path),)


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


@pytest.mark.parametrize("worker", [WORKER, FSDP], ids=["ddp", "fsdp"])
def test_two_processes_that_were_killed_go_on_to_the_same_weights(tmp_path, model, worker):
    import torch

    class KilledError(Exception):
        pass

    def kill(line):
        if line.get("step", 0) > 3:
            raise KilledError

    settings = {"devices": Devices(processes=2), "save_steps": 2}
    unbroken = varied_job(tmp_path / "unbroken", model, **settings)
    broken = varied_job(tmp_path / "broken", model, **settings)
    whole = run_training(unbroken, lambda line: None, worker=worker)
    with pytest.raises(KilledError):
        run_training(broken, kill, sleep=lambda _: time.sleep(0.005), worker=worker)
    lines = []
    resumed = run_training(broken, lines.append, worker=worker)
    begun = [line["step"] for line in lines if "total_steps" in line and "loss" not in line]
    assert begun[-1] in (2, 4)
    assert resumed["heldout"] == whole["heldout"]
    assert [p["loss"] for p in resumed["curve"]] == [p["loss"] for p in whole["curve"]]
    for name, tensor in weights(unbroken).items():
        torch.testing.assert_close(weights(broken)[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["ask", "dpo"])
def test_a_model_to_be_sharded_is_measured_when_training_begins_and_learns_the_same(
    tmp_path, model, kind
):
    import torch

    def made(name):
        folder = tmp_path / name
        return varied_job(folder, model, max_steps=3) if kind == "ask" else dpo_job(folder, model)

    plain, sharded = made("plain"), made("sharded")
    first = run_training(plain, lambda line: None)
    second = run_training(sharded, lambda line: None, worker=program(tmp_path, SHARDED))
    assert second["heldout"]["before"] == first["heldout"]["before"]
    assert list(second["phase_seconds"]) == list(first["phase_seconds"])
    assert [p["loss"] for p in second["curve"]] == [p["loss"] for p in first["curve"]]
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(sharded)[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["ask", "dpo"])
def test_two_processes_that_share_the_weights_learn_what_one_learns(tmp_path, model, kind):
    import torch

    def made(name, **settings):
        folder, settings = tmp_path / name, settings | {"max_steps": 3}
        make = varied_job if kind == "ask" else dpo_job
        return make(folder, model, **settings)

    alone, shared = made("alone"), made("shared", devices=Devices(processes=2, strategy="ddp"))
    one = run_training(alone, lambda line: None)
    two = run_training(shared, lambda line: None, worker=FSDP)
    assert two["processes"] == 2
    assert "FSDPLlamaForCausalLM, weights in DTensor" in shared.log_file.read_text()
    for when in ("before", "after"):
        assert two["heldout"][when] == pytest.approx(one["heldout"][when], abs=2e-4)
    losses = [[point["loss"] for point in figures["curve"]] for figures in (one, two)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    for name, tensor in weights(alone).items():
        torch.testing.assert_close(weights(shared)[name], tensor, rtol=1e-2, atol=1e-4)
