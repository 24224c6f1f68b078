"""What is sent to whom, by the data of providers.yaml and the recipe."""

from typing import Any

import pytest
from pydantic import ValidationError

from parrot_core.engines.failures import ProviderFailure
from parrot_core.engines.request import request_body, request_key
from parrot_core.engines.shaping import advice, describe, limit_in, provider_rules, shape_of
from parrot_core.errors import UserError
from parrot_core.recipe import OpenAIEngine, Sampling, VllmEngine

MESSAGES: Any = [{"role": "user", "content": "hi"}]
SAMPLING = Sampling(
    temperature=0.5, max_tokens=9, stop=("x",), frequency_penalty=0.1, repetition_penalty=1.1
)
ALL = {
    "temperature": 0.5,
    "top_p": 1.0,
    "max_completion_tokens": 9,
    "seed": 1,
    "stop": ["x"],
    "frequency_penalty": 0.1,
    "repetition_penalty": 1.1,
}


def sent(model: str = "m", base_url: str = "http://gateway/v1", **settings: Any) -> dict[str, Any]:
    """The parameters that an engine is sent, without model and messages."""
    engine = OpenAIEngine(model=model, base_url=base_url, **settings)
    body = request_body(model, MESSAGES, SAMPLING, 1, shape_of(engine))
    assert (body.pop("model"), body.pop("messages")) == (model, MESSAGES)
    return body


def test_an_unknown_provider_gets_openais_parameters() -> None:
    assert sent() == ALL
    assert shape_of(VllmEngine(model="m")).apply(ALL) == ALL


@pytest.mark.parametrize(
    ("model", "base_url", "expected"),
    [
        ("gpt-5-mini", "https://api.openai.com/v1", {"max_completion_tokens", "seed"}),
        ("o3", "https://api.openai.com/v1", {"max_completion_tokens", "seed"}),
        ("openai/o4-mini", "https://openrouter.ai/api/v1", {"max_tokens", "seed"}),
        ("gpt-5-chat-latest", "https://api.openai.com/v1", ALL.keys()),
        ("gpt-4.1", "https://api.openai.com/v1", ALL.keys()),
        (
            "mistral-large-latest",
            "https://api.mistral.ai/v1",
            {"temperature", "top_p", "max_tokens", "random_seed", "stop", "frequency_penalty"},
        ),
        (
            "gemini-2.5-pro",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            {"temperature", "top_p", "max_completion_tokens", "stop"},
        ),
        (
            "claude-sonnet-4-5",
            "https://api.anthropic.com/v1",
            {"temperature", "max_completion_tokens", "stop"},
        ),
        (
            "llama3.2",
            "http://localhost:11434/v1",
            {"temperature", "top_p", "max_tokens", "seed", "stop", "frequency_penalty"},
        ),
    ],
)
def test_known_providers_and_models_get_what_they_take(
    model: str, base_url: str, expected: set[str]
) -> None:
    assert sent(model, base_url).keys() == expected


def test_azure_takes_its_key_in_a_header_of_its_own() -> None:
    azure = OpenAIEngine(model="d", base_url="https://r.openai.azure.com/openai/deployments/d")
    assert shape_of(azure).key_header == "api-key"
    assert shape_of(azure.model_copy(update={"key_header": "X"})).key_header == "X"


def test_qwen3_at_dashscope_is_told_not_to_think_unless_it_does_nothing_else() -> None:
    address = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
    assert sent("qwen3-32b", address)["enable_thinking"] is False
    assert "enable_thinking" not in sent("qwen3-235b-a22b-thinking-2507", address)


def test_a_provider_can_be_named_where_the_address_does_not_tell() -> None:
    assert sent(provider="llama.cpp")["repeat_penalty"] == 1.1
    assert sent(provider="litellm")["drop_params"] is True
    assert sent(base_url="https://api.mistral.ai/v1", provider="other") == ALL
    with pytest.raises(UserError, match="'mistrall' isn't known; there are anthropic, azure"):
        sent(provider="mistrall")


def test_the_recipe_leaves_out_renames_and_adds() -> None:
    found = sent(
        request={"seed": None, "reasoning_effort": "low", "extra": {"a": {"b": 1}}},
        rename={"max_completion_tokens": "max_tokens"},
    )
    assert "seed" not in found
    assert (found["reasoning_effort"], found["extra"], found["max_tokens"]) == (
        "low",
        {"a": {"b": 1}},
        9,
    )


def test_the_recipe_has_the_last_word() -> None:
    reasoning = {"model": "gpt-5", "base_url": "https://api.openai.com/v1"}
    assert sent(**reasoning, request={"temperature": 1})["temperature"] == 1
    mistral = "https://api.mistral.ai/v1"
    assert sent(base_url=mistral, rename={"seed": "seed"})["seed"] == 1
    assert not {"seed", "random_seed"} & sent(base_url=mistral, request={"seed": None}).keys()


def test_what_is_sent_makes_the_journals_key() -> None:
    def key(**settings: Any) -> str:
        return request_key("openai", sent(**settings), "s/t1/answer")

    assert len({key(), key(request={"seed": None}), key(rename={"seed": "random_seed"})}) == 3
    assert key() == key()


@pytest.mark.parametrize("name", ["model", "messages", "n"])
def test_what_makes_the_request_is_no_parameter(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        OpenAIEngine(model="m", request={name: 1})


@pytest.mark.parametrize("address", ["http://", "https:///v1", "http://[", "http://a:b/v1", "a/v1"])
def test_an_address_without_a_host_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        OpenAIEngine(model="m", base_url=address)


def test_the_largest_limit_that_is_sent_is_what_a_request_may_cost() -> None:
    assert limit_in({"max_tokens": 9, "max_completion_tokens": 20}, 5) == 20
    assert limit_in({"max_tokens": None}, 5) == 5


def test_what_is_sent_is_said_with_its_reason() -> None:
    mistral = OpenAIEngine(model="m", base_url="https://api.mistral.ai/v1")
    assert describe(mistral, Sampling()) == (
        "sends temperature, top_p, max_tokens, random_seed; renamed "
        "max_completion_tokens as max_tokens, seed as random_seed (Mistral has other names, and "
        "refuses parameters "
        "that it doesn't know)"
    )
    gpt_5 = OpenAIEngine(model="gpt-5", request={"reasoning_effort": "low"})
    assert describe(gpt_5, Sampling()).startswith(
        "sends max_completion_tokens, seed, reasoning_effort; added reasoning_effort; "
        "left out temperature, top_p (OpenAI's reasoning models"
    )


@pytest.mark.parametrize(
    ("words", "param", "expected"),
    [
        ("no", "seed", "--set engines.e.request.seed=null leaves it out"),
        (
            'Unknown name "frequency_penalty". Unknown name "seed"',
            None,
            "--set engines.e.request.seed=null --set engines.e.request.frequency_penalty=null "
            "leaves them out",
        ),
        (
            "'max_completion_tokens' is not supported, use 'max_tokens'",
            None,
            "--set engines.e.rename.max_completion_tokens=max_tokens",
        ),
        (
            "max_completion_tokens=256 cannot be greater than max_model_len=128",  # vLLM
            "max_completion_tokens",
            "lower max_tokens of the sampling, which is sent as max_completion_tokens, or give it "
            "the name that the API knows: --set engines.e.rename.max_completion_tokens=NAME",
        ),
        ("parameter.enable_thinking must be false", "enable_thinking", "enable_thinking sets it"),
        ("the messages are too odd", "messages", ""),
        ("something else", None, ""),
    ],
)
def test_a_refusal_names_the_setting_that_mends_it(
    words: str, param: str | None, expected: str
) -> None:
    failure = ProviderFailure("status", words, status=400, param=param)
    found = advice(failure, {"model": "m", "messages": [], **ALL}, "e")
    assert found.endswith(expected)
    assert bool(found) == bool(expected)


def test_every_rule_says_why() -> None:
    for rule in provider_rules():
        assert rule.because or not (rule.rename or rule.request or rule.key_header)
