"""What real servers send, read by the one place that reads it: vLLM, and LiteLLM before it.

LiteLLM pins older packages than ours, so it has an environment of its own: where the command isn't
on the path, the variable ``LITELLM`` names it (``pip install 'litellm[proxy]'``).
"""

import asyncio
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import yaml

from parrot_core.engines.decisions import decide
from parrot_core.engines.endpoint import Endpoint
from parrot_core.engines.failures import ProviderFailure
from parrot_core.engines.limits.limits import Budget, Limiter
from parrot_core.engines.openai_chat import OpenAIChat
from parrot_core.engines.request import request_body
from parrot_core.engines.response import Answer
from parrot_core.engines.shaping import shape_of
from parrot_core.engines.types import (
    ContextFull,
    EveryRequestRefused,
    KeyRefused,
    Message,
)
from parrot_core.engines.vllm.replicas import Replicas
from parrot_core.engines.vllm.server import VllmServer, cpu_environment
from parrot_core.recipe import Limits, OpenAIEngine, Sampling, VllmEngine
from tests.support.training.tiny_model import build_tiny_model, build_tiny_tokenizer

pytestmark = pytest.mark.engine

CONTEXT = 128
KEY = "sk-of-the-proxy"
LITELLM = os.environ.get("LITELLM") or shutil.which("litellm")


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a vLLM with a tiny model."""
    folder = tmp_path_factory.mktemp("vllm")
    settings = VllmEngine(model="tiny", max_model_len=CONTEXT, dtype="float32")
    model = str(build_tiny_model(folder / "tiny"))
    cores = sorted(os.sched_getaffinity(0))
    server = VllmServer(settings, model, "tiny", folder / "log", cpu_environment(0, 1, cores))
    try:
        server.wait_until_ready()
        yield server.base_url
    finally:
        server.stop()


@pytest.fixture(scope="module")
def litellm(vllm: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a LiteLLM proxy in front of it."""
    if LITELLM is None:
        pytest.skip("LiteLLM isn't installed; the variable LITELLM names its command")
    folder = tmp_path_factory.mktemp("litellm")
    behind = {"model": "hosted_vllm/tiny", "api_base": vllm, "api_key": "none"}
    config = {
        "model_list": [{"model_name": "alias", "litellm_params": behind}],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"num_retries": 0},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [LITELLM, "--config", str(folder / "config.yaml"), "--host", "127.0.0.1"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**environment, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        )
    try:
        deadline = time.monotonic() + 180
        while not alive(f"http://127.0.0.1:{port}/health/liveliness"):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def alive(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def body_of(content: str, max_tokens: int = 8, **settings: Any) -> dict[str, Any]:
    engine = OpenAIEngine(**{"model": "tiny", "base_url": "http://any/v1", **settings})
    messages: list[Message] = [{"role": "user", "content": content}]
    sampling = Sampling(max_tokens=max_tokens)
    return request_body(engine.model, messages, sampling, 1, shape_of(engine))


def ask(base_url: str, body: dict[str, Any], key: str | None = None) -> Answer:
    async def once() -> Answer:
        endpoint = Endpoint(base_url, 120, key)
        try:
            return await endpoint.complete(body)
        finally:
            await endpoint.close()

    return asyncio.run(once())


def refused_as(base_url: str, body: dict[str, Any], key: str | None = None) -> object:
    with pytest.raises(ProviderFailure) as caught:
        ask(base_url, body, key)
    return decide(caught.value).error


def filling(tokens: int) -> str:
    """A message that makes a prompt of so many tokens."""
    empty: list[Message] = [{"role": "user", "content": ""}]
    tokenizer = build_tiny_tokenizer()
    given = tokenizer.apply_chat_template(empty, add_generation_prompt=True, return_dict=False)
    return "z" * (tokens - len(given))


def test_vllms_answers_are_read_streamed_or_not(vllm: str) -> None:
    whole = ask(vllm, body_of("What is the capital of France?"))
    assert whole.prompt_tokens
    assert whole.completion_tokens
    streamed = ask(vllm, body_of("What is the capital of France?", request={"stream": True}))
    assert (streamed.text, streamed.finish_reason) == (whole.text, whole.finish_reason)
    counted = {"stream": True, "stream_options": {"include_usage": True}}
    assert ask(vllm, body_of("What is the capital of France?", request=counted)) == whole


@pytest.mark.parametrize("tokens", [CONTEXT, CONTEXT + 1, 100 * CONTEXT])
def test_vllms_full_context_is_known_whatever_it_says(vllm: str, tokens: int) -> None:
    assert refused_as(vllm, body_of(filling(tokens))) is ContextFull


def test_what_is_left_of_vllms_context_is_written_and_cut(vllm: str) -> None:
    answer = ask(vllm, body_of(filling(CONTEXT - 4)))
    assert 1 <= (answer.completion_tokens or 0) <= 4
    assert answer.finish_reason == ("length" if answer.completion_tokens == 4 else "stop")


def send(base_url: str, body: dict[str, Any], key: str | None = None) -> None:
    """Send a request as a run does."""

    async def once() -> None:
        endpoint, limits = Endpoint(base_url, 60, key), Limits()
        replicas = Replicas([(base_url, endpoint)])
        chat = OpenAIChat("answerer", replicas, limits, Limiter(limits), Budget(None))
        try:
            await chat.send(body, 0, "s1/t1/answer")
        finally:
            await endpoint.close()

    asyncio.run(once())


def test_a_limit_above_vllms_context_stops_the_run_and_says_so(vllm: str) -> None:
    with pytest.raises(EveryRequestRefused, match="lower max_tokens"):
        send(vllm, body_of("hello", 2 * CONTEXT))


def test_litellms_answers_and_refusals_are_read(litellm: str) -> None:
    settings = {"model": "alias", "provider": "litellm"}
    answer = ask(litellm, body_of("What is the capital of France?", **settings), KEY)
    assert answer.completion_tokens
    stream = {**settings, "request": {"stream": True}}
    assert ask(litellm, body_of("What is it?", **stream), KEY).finish_reason != "unknown"
    assert refused_as(litellm, body_of(filling(2 * CONTEXT), **settings), KEY) is ContextFull


def test_a_key_that_litellm_refuses_stops_the_run(litellm: str) -> None:
    """Without a database it says so by a 400, which only a small request tells from a row's own."""
    with pytest.raises((KeyRefused, EveryRequestRefused)):
        send(litellm, body_of("hello", model="alias", provider="litellm"), "sk-wrong")
