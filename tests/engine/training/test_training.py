"""Real trainings through TRL, of a model small enough to learn by heart in seconds."""

import json
import time

import pytest

from parrot_core.errors import TrainingFailed
from parrot_core.lake.metrics import TrainingMetrics
from parrot_core.recipe import TrainDpo
from parrot_core.stages.training.launch import run_training
from parrot_core.text.control_tokens import END_OF_SESSION
from tests.support.training.tiny_jobs import SESSION, ask_job, make_job, weights
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine


def declared(figures):
    """Publication refuses what a training has not declared."""
    return TrainingMetrics.model_validate({k: v for k, v in figures.items() if k != "examples"})


def timeless(curve):
    return [{k: v for k, v in point.items() if k != "tokens_per_s"} for point in curve]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, model):
    job = ask_job(tmp_path_factory.mktemp("ask") / "job", model)
    lines = []
    return job, run_training(job, lines.append), lines


def test_an_asker_learns_what_users_say_and_every_example_is_accounted_for(trained):
    _, figures, lines = trained
    before, after = figures["heldout"]["before"], figures["heldout"]["after"]
    assert after["loss"] < 0.2 * before["loss"]
    assert before["tokens"] == after["tokens"] > 0
    assert figures["examples"]["train"] == {
        "used": 8,
        "sequences": 8,
        "turns": 16,
        "messages_cut": 0,
        "clipped": 0,
        "turns_cut": 0,
        "dropped": {"control_tokens": 1, "too_long": 1},
    }
    assert [point["step"] for point in figures["curve"]] == list(range(1, 61))
    steps = [line for line in lines if "loss" in line]
    assert {"step", "total_steps", "loss", "learning_rate", "tokens_per_s"} <= steps[-1].keys()
    figures_of_a_step = {"step", "loss", "learning_rate", "tokens_per_s", "mean_token_accuracy"}
    assert all(point.keys() == figures_of_a_step for point in figures["curve"])
    assert figures["tokens"] == declared(figures).tokens > 0


def test_the_published_asker_writes_the_users_next_turn_and_stops(trained):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    job, _, _ = trained
    tokenizer = AutoTokenizer.from_pretrained(job.model_folder)
    asker = AutoModelForCausalLM.from_pretrained(job.model_folder)
    prompt = tokenizer.apply_chat_template(
        SESSION[:2], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    written = asker.generate(**prompt, max_new_tokens=40, do_sample=False)
    text = tokenizer.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert text == SESSION[2]["content"]
    assert written[0, -1] == tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_no_steps_publish_the_base_with_a_template_that_opens_a_users_turn(tmp_path, model):
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    job = ask_job(tmp_path / "job", model, max_steps=0)
    figures = run_training(job, lambda line: None)
    assert (figures["steps"], figures["curve"]) == (0, [])
    assert figures["heldout"]["before"] == figures["heldout"]["after"]
    base = load_file(model / "model.safetensors")
    assert all((weights(job)[name] == tensor).all() for name, tensor in base.items())
    tokenizer = AutoTokenizer.from_pretrained(job.model_folder)
    shown = tokenizer.apply_chat_template(SESSION[:2], tokenize=False, add_generation_prompt=True)
    assert shown.endswith("<|im_start|>user\n")


def test_a_killed_training_goes_on_to_the_same_weights(trained, tmp_path, model):
    import torch

    class KilledError(Exception):
        pass

    def kill(line):
        if line.get("step", 0) > 25:
            raise KilledError

    unbroken, figures, _ = trained
    job = ask_job(tmp_path / "job", model)
    with pytest.raises(KilledError):
        run_training(job, kill, sleep=lambda _: time.sleep(0.005))
    assert not job.metrics_file.exists()
    assert list(job.checkpoints.glob("checkpoint-*"))
    lines = []
    resumed = run_training(job, lines.append)
    begun = next(line for line in lines if "step" in line)
    assert begun["step"] >= 10
    assert resumed["heldout"] == figures["heldout"]
    assert timeless(resumed["curve"]) == timeless(figures["curve"])
    assert all("tokens_per_s" in point for point in resumed["curve"][1:])
    assert resumed["tokens"] == figures["tokens"]
    mine, theirs = weights(job), weights(unbroken)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_dpo_widens_the_margin_on_pairs_it_has_not_seen(tmp_path, model):
    pairs = [
        {
            "prompt": [*SESSION[:2], {"role": "user", "content": f"And number {n}?"}],
            "chosen": [{"role": "assistant", "content": "There are two million people."}],
            "rejected": [{"role": "assistant", "content": "Please write a poem about the sea."}],
        }
        for n in range(12)
    ]
    settings = TrainDpo(
        max_length=96, max_steps=20, epochs=20, batch_size=4, learning_rate=1e-3, precision="fp32"
    )
    job = make_job(tmp_path / "job", "dpo", model, settings, pairs[:8], pairs[8:])
    lines = []
    figures = run_training(job, lines.append)
    before, after = figures["heldout"]["before"], figures["heldout"]["after"]
    assert before["margin"] == pytest.approx(0, abs=1e-3)
    assert before["loss"] == pytest.approx(0.693, abs=1e-3)
    assert after["margin"] > 0.1
    assert after["accuracy"] == 1
    assert after["loss"] < before["loss"]
    assert figures["examples"]["heldout"]["used"] == 4
    assert any("rewards/margins" in line for line in lines)
    assert {"rewards/accuracies", "learning_rate"} <= figures["curve"][-1].keys()
    assert declared(figures).heldout.after == after


def test_a_limit_that_no_session_meets_is_said_in_one_line(tmp_path, model):
    job = ask_job(tmp_path / "job", model)
    short = [{"messages": [{"role": "user", "content": "How long is it? " * 200}]}]
    job.train_file.write_text(json.dumps(short[0]) + "\n")
    with pytest.raises(TrainingFailed, match=r"1 too_long\); raise max_length \(128\)"):
        run_training(job, lambda line: None)


def test_an_asker_learns_to_end_a_session_and_how_well_is_measured(tmp_path, model):
    mark = {"role": "user", "content": END_OF_SESSION}
    base = ask_job(tmp_path / "base", model)
    settings = base.settings.model_copy(update={"end_mark": True})
    sessions = [{"messages": [*SESSION, mark]}] * 8
    job = make_job(tmp_path / "job", "ask", model, settings, sessions, sessions[:2])
    found = run_training(job, lambda line: None)["session_end"]
    assert (found["places"], found["base_rate"]) == (4, 0.5)
    assert found["auc"] == 1.0
    assert found["f1_always"] == 0.6667
    assert {turn: each["ends"] for turn, each in found["by_turn"].items()} == {"2": 0, "3": 2}
