"""Trainings of two processes: those of FSDP learn what one process learns.

FSDP runs on CPUs over gloo, with the recipe's own settings; see ``tests/fsdp_on_cpu.py``.
"""

from pathlib import Path

import pytest

from parrot_core.recipe import Devices, TrainDpo
from parrot_core.training.launch import run_training
from tests.engine.training.test_ways import varied_job
from tests.tiny_jobs import SESSION, make_job, weights
from tests.tiny_model import TEXT, build_tiny_model

pytestmark = pytest.mark.engine

FSDP = (str(Path(__file__).parents[2] / "fsdp_on_cpu.py"),)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


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
