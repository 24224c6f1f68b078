"""``paper.yaml`` against the paper: what the trainers would be told by each of eight processes."""

from pathlib import Path

import pytest

from parrot_core.recipe import load_recipe
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.schedule import Schedule

pytestmark = pytest.mark.engine

RECIPE = Path(__file__).parents[3] / "deployments/recipes/paper.yaml"
SESSIONS, DIALOGUES, PAIRS = 70_000, 40_000, 30_000
GPUS = 8


def resolved(tmp_path, kind, examples):
    """The trainer's configuration object, as the worker builds it."""
    from parrot_core.stages.training.trainers import dpo_config, sft_config

    recipe = load_recipe(RECIPE)
    settings = {"ask": recipe.train_ask, "sft": recipe.train_sft, "dpo": recipe.train_dpo}[kind]
    job = TrainingJob(
        kind=kind, model="x", folder=tmp_path, settings=settings, seed=recipe.seed, data_sha256=""
    )
    assert settings.devices.processes == GPUS
    schedule = Schedule.of(settings, examples, GPUS)
    if kind == "dpo":
        return dpo_config(job, recipe.train_dpo, schedule)
    return sft_config(job, schedule)


def batch_of(config):
    return config.per_device_train_batch_size * config.gradient_accumulation_steps * GPUS


@pytest.mark.parametrize(("kind", "examples"), [("ask", SESSIONS), ("sft", DIALOGUES)])
def test_both_trainings_on_sessions_have_the_papers_numbers(tmp_path, kind, examples):
    """§4.1.3: max length 4096, 3 epochs, AdamW, 3e-5, cosine, warm-up 0.1 epoch, batch 32."""
    config = resolved(tmp_path, kind, examples)
    assert config.max_length == 4096
    assert config.optim.startswith("adamw")
    assert config.learning_rate == 3e-5
    assert config.lr_scheduler_type == "cosine"
    assert batch_of(config) == 32
    epoch = examples / 32
    assert config.max_steps == pytest.approx(3 * epoch, abs=1)
    assert config.warmup_steps == pytest.approx(0.1 * epoch, abs=1)
    assert config.assistant_only_loss
    assert not config.packing


def test_dpo_has_the_papers_numbers(tmp_path):
    """§4.1.3: learning rate 1e-5, batch 32."""
    config = resolved(tmp_path, "dpo", PAIRS)
    assert config.learning_rate == 1e-5
    assert batch_of(config) == 32
    assert config.optim.startswith("adamw")
    assert config.max_length == 4096


def test_the_models_and_data_are_the_papers():
    recipe = load_recipe(RECIPE)
    assert recipe.train_ask.base == recipe.train_sft.base == "meta-llama/Llama-2-13b-hf"
    assert recipe.train_ask.max_examples == SESSIONS
    assert recipe.seeds.from_training
    assert not recipe.train_ask.learn_first_query  # what seeds may not train
    assert recipe.train_ask.lora is recipe.train_sft.lora is recipe.train_dpo.lora is None
    assert recipe.train_sft.max_turns is None  # all turns, Table 5's best
    assert (recipe.seeds.limit, recipe.synthesize.max_turns) == (40_000, 10)
    assert recipe.select.limit * len(recipe.train_dpo.strategies) == PAIRS
