import asyncio
import random
from collections.abc import Callable
from datetime import date
from typing import Any

import openai
import pytest

from parrot_core.engines.limits import Budget, Limiter
from parrot_core.engines.openai_chat import OpenAIChat, text_of
from parrot_core.engines.request import request_body
from parrot_core.engines.types import (
    BudgetReached,
    ContentFiltered,
    ContextFull,
    EngineUnreachable,
    KeyRefused,
    RequestRefused,
    RunError,
    ShardError,
)
from parrot_core.recipe import Limits, Price, Sampling
from tests.fake_api import FakeApi, Reply, serving

PRICE = Price(input_per_million=1000, output_per_million=1000, as_of=date(2026, 1, 1))
BODY = request_body("m", [{"role": "user", "content": "hi there"}], Sampling(max_tokens=10), 1)


async def ask(
    base_url: str,
    limits: Limits | None = None,
    budget: Budget | None = None,
    times: int = 1,
    slept: list[float] | None = None,
) -> list[str]:
    limits = limits or Limits(max_retries=2)
    waits: list[float] = [] if slept is None else slept

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with openai.AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0) as client:
        chat = OpenAIChat(
            "answerer",
            client,
            limits,
            Limiter(limits, sleep=sleep),
            budget or Budget(None),
            PRICE,
            rng=random.Random(0),
            sleep=sleep,
        )
        answers = await asyncio.gather(*(chat.send(BODY, 10) for _ in range(times)))
    return [text_of(answer)[0] for answer, _ in answers]


def failing(times: int, reply: Reply) -> Callable[[int, dict[str, Any]], Reply]:
    return lambda number, body: reply if number <= times else Reply("at last")


@pytest.mark.parametrize(
    "reply",
    [Reply(status=429), Reply(status=500), Reply(status=503), Reply(hang_up=True)],
    ids=["429", "500", "503", "hang-up"],
)
def test_what_passes_is_tried_again(reply: Reply) -> None:
    with serving(failing(2, reply)) as api:
        assert asyncio.run(ask(api.base_url)) == ["at last"]
        assert len(api.requests) == 3


def test_retry_after_is_obeyed() -> None:
    slept: list[float] = []
    with serving(failing(1, Reply(status=429, headers={"retry-after": "7"}))) as api:
        asyncio.run(ask(api.base_url, slept=slept))
    assert slept[0] >= 7


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=401), KeyRefused),
        (Reply(status=403), KeyRefused),
        (Reply(status=404), KeyRefused),
        (Reply(status=429, error={"code": "insufficient_quota"}), RunError),
        (Reply(status=400), RequestRefused),
        (Reply(status=422), RequestRefused),
        (Reply(status=400, error={"code": "context_length_exceeded"}), ContextFull),
        (Reply(status=400, error={"param": "input_tokens"}), ContextFull),
        (Reply(status=400, error={"code": "content_filter"}), ContentFiltered),
    ],
)
def test_what_does_not_pass_is_sent_once(reply: Reply, error: type[Exception]) -> None:
    with serving(lambda number, body: reply) as api:
        with pytest.raises(error):
            asyncio.run(ask(api.base_url))
        assert len(api.requests) == 1


def test_a_provider_that_keeps_failing_stops_the_shard() -> None:
    with serving(lambda number, body: Reply(status=500)) as api:
        with pytest.raises(ShardError, match="3 times in a row, the last with HTTP 500"):
            asyncio.run(ask(api.base_url))
        assert len(api.requests) == 3


def test_an_address_where_nothing_answers_is_named() -> None:
    with pytest.raises(EngineUnreachable, match=r"127\.0\.0\.1:9"):
        asyncio.run(ask("http://127.0.0.1:9/v1"))


def test_concurrency_stays_within_the_limit() -> None:
    with serving(lambda number, body: Reply(delay_s=0.01)) as api:
        asyncio.run(ask(api.base_url, Limits(concurrency=3), times=20))
        assert api.most_in_flight == 3


def test_the_budget_stops_before_the_cap_not_after() -> None:
    def run(api: FakeApi, budget: Budget) -> None:
        asyncio.run(ask(api.base_url, Limits(concurrency=1), budget, times=100))

    budget = Budget(0.2)
    with serving() as api, pytest.raises(BudgetReached, match="paused: budget"):
        run(api, budget)
    assert 0 < budget.spent_usd <= 0.2
    assert len(api.requests) < 100
