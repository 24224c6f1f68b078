"""The models that the paper compares, as ready engines: valid, and prompted as their cards say."""

from pathlib import Path

import jinja2
import pytest

from parrot_core.analysis.ablation.matrix import load_matrix
from parrot_core.analysis.ablation.plan import plan_ablation
from parrot_core.lake.lake import Lake
from parrot_core.recipe import load_recipe

TABLE = Path("deployments/ablations/table3.yaml")
MESSAGES = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "And?"},
]
OTHERS = ("chatgpt", "gpt-4", "llama-2-chat", "vicuna", "baize", "ultralm")


@pytest.fixture
def plans(tmp_path):
    matrix = load_matrix(TABLE)
    base = load_recipe(TABLE.parent / matrix.base, (f"lake={tmp_path}",))
    return {plan.name: plan for plan in plan_ablation(matrix, base, Lake(base.lake))}


def rendered(plans, name):
    (option,) = plans[name].recipe.engines[name].args
    flag, _, template = option.partition("=")
    assert flag == "--chat-template"
    return jinja2.Template(template).render(
        messages=MESSAGES, bos_token="<s>", eos_token="</s>", add_generation_prompt=True
    )


@pytest.mark.parametrize("name", OTHERS)
def test_evaluating_another_model_makes_nothing_but_its_judgments(plans, name):
    assert plans[name].makes == ("evaluate",)
    assert plans[name].model is None


def test_vicuna_is_prompted_as_it_was_trained(plans):
    assert rendered(plans, "vicuna") == (
        "<s>A chat between a curious user and an artificial intelligence assistant. The assistant "
        "gives helpful, detailed, and polite answers to the user's questions. USER: Hi "
        "ASSISTANT: Hello.</s> USER: And? ASSISTANT:"
    )


def test_baize_is_prompted_as_it_was_trained_and_stops_before_the_user_speaks(plans):
    text = rendered(plans, "baize")
    assert text.startswith("<s>The following is a conversation between a human and an AI assistant")
    assert text.endswith(
        "in exactly that format.\n[|Human|]Hello!\n[|AI|]Hi!\n[|Human|]Hi\n[|AI|]Hello.\n"
        "[|Human|]And?\n[|AI|]"
    )
    assert plans["baize"].recipe.evaluate.answer.stop == ("[|Human|]",)


def test_ultralm_is_prompted_as_it_was_trained(plans):
    assert rendered(plans, "ultralm") == (
        "<s>User: Hi</s>\nAssistant: Hello.</s>\nUser: And?</s>\nAssistant:"
    )
