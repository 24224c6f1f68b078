import asyncio
import contextlib
import random
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from parrot_core.engines.endpoint import Endpoint
from parrot_core.engines.limits.breaker import Breaker
from parrot_core.engines.limits.limits import Budget, Limiter
from parrot_core.engines.openai_chat import OpenAIChat
from parrot_core.engines.request import request_body
from parrot_core.engines.types import (
    BudgetReached,
    ContextFull,
    EngineDied,
    EngineUnreachable,
    EveryRequestRefused,
    KeyRefused,
    ProviderError,
    ProviderRefuses,
    RequestRefused,
    RowError,
    ShardError,
)
from parrot_core.engines.vllm.replicas import Replicas
from parrot_core.recipe import Limits, Price, Sampling
from tests.support.servers.fake_api import FakeApi, Reply, serving

PRICE = Price(input_per_million=1000, output_per_million=1000, as_of=date(2026, 1, 1))
BODY = request_body("m", [{"role": "user", "content": "hi there"}], Sampling(max_tokens=10), 1)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


async def ask(
    base_url: str | list[str],
    limits: Limits | None = None,
    budget: Budget | None = None,
    times: int = 1,
    time: Time | None = None,
    still_there: Callable[[], None] = lambda: None,
) -> list[str]:
    limits = limits or Limits(max_retries=2, max_pause_s=0)
    time = time or Time()
    rng = random.Random(0)
    urls = [base_url] if isinstance(base_url, str) else base_url
    endpoints = [(url, Endpoint(url, limits.timeout_s)) for url in urls]
    breaker = Breaker("answerer", limits, time.clock, rng=rng)
    chat = OpenAIChat(
        "answerer",
        Replicas(endpoints, time.clock),
        limits,
        Limiter(limits, time.clock, time.sleep, breaker),
        budget or Budget(None),
        PRICE,
        still_there=still_there,
        rng=rng,
        sleep=time.sleep,
    )
    sends = [chat.send(BODY, 10, f"s{number}/t1/answer") for number in range(times)]
    try:
        answers = await asyncio.gather(*sends)
    finally:
        for _, endpoint in endpoints:
            await endpoint.close()
    return [answer.text for answer, _ in answers]


async def one_by_one(base_url: str, times: int) -> None:
    endpoint, limits = Endpoint(base_url, 10), Limits()
    replicas = Replicas([(base_url, endpoint)])
    chat = OpenAIChat("answerer", replicas, limits, Limiter(limits), Budget(None))
    try:
        for number in range(times):
            with contextlib.suppress(RowError):
                await chat.send(BODY, 10, f"s{number}/t1/answer")
    finally:
        await endpoint.close()


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
    time = Time()
    with serving(failing(1, Reply(status=429, headers={"retry-after": "7"}))) as api:
        asyncio.run(ask(api.base_url, time=time))
    assert time.now >= 7


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=401), KeyRefused),
    ],
)
def test_what_does_not_pass_is_sent_once(reply: Reply, error: type[Exception]) -> None:
    with serving(lambda number, body: reply) as api:
        with pytest.raises(error):
            asyncio.run(ask(api.base_url))
        assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=400), RequestRefused),
        (Reply(status=400, error={"code": "context_length_exceeded"}), ContextFull),
    ],
)
def test_a_refusal_of_one_row_is_its_own_where_a_small_request_is_answered(
    reply: Reply, error: type[Exception]
) -> None:
    with serving(lambda n, body: Reply("yes") if is_small(body) else reply) as api:
        with pytest.raises(error):
            asyncio.run(ask(api.base_url))
        assert [is_small(body) for body in api.requests] == [False, True]


def test_a_refusal_that_a_small_request_meets_too_stops_the_run_and_names_the_setting() -> None:
    refusal = {"message": "Unsupported value: temperature", "code": "unsupported_value"}
    reply = Reply(status=400, error={**refusal, "param": "temperature"})
    with serving(lambda n, body: reply) as api:
        with pytest.raises(
            EveryRequestRefused,
            match=r"HTTP 400 \(unsupported_value\): Unsupported value: temperature.*"
            r"--set engines.answerer.request.temperature=null",
        ):
            asyncio.run(ask(api.base_url, Limits(concurrency=4), times=60))
        assert len(api.requests) <= 12


def test_five_rows_refused_alike_in_a_row_are_doubted_again() -> None:
    def until_20(number: int, body: dict[str, Any]) -> Reply:
        return Reply("fine") if number <= 20 else Reply(status=422)

    with serving(until_20) as api:
        with pytest.raises(EveryRequestRefused, match="HTTP 422"):
            asyncio.run(one_by_one(api.base_url, 60))
        assert len(api.requests) == 26


def test_a_context_that_is_full_for_a_word_names_the_limit() -> None:
    reply = Reply(status=400, error={"param": "max_tokens", "message": "maximum context length"})
    with (
        serving(lambda n, body: reply) as api,
        pytest.raises(EveryRequestRefused, match="lower max_tokens"),
    ):
        asyncio.run(ask(api.base_url))


USING_UP = Reply("", finish_reason="length")


def test_a_limit_that_thinking_uses_up_for_a_word_too_stops_the_run_and_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(BODY, "max_completion_tokens", 900)
    said = r"the limit of 900 tokens .*max_completion_tokens"
    with (
        serving(lambda n, body: USING_UP) as api,
        pytest.raises(EveryRequestRefused, match=said),
    ):
        asyncio.run(ask(api.base_url))


def test_a_limit_for_a_short_reply_that_thinking_uses_up_is_left_to_who_asked() -> None:
    with serving(lambda n, body: USING_UP) as api:
        assert asyncio.run(ask(api.base_url)) == [""]
    assert len(api.requests) == 1


def test_the_last_row_under_lasting_429s_does_not_crawl() -> None:
    time = Time()
    with serving(failing(40, Reply(status=429))) as api:
        assert asyncio.run(ask(api.base_url, Limits(), time=time)) == ["at last"]
    assert time.now < 40 * 20


def test_minutes_of_429_fail_nothing() -> None:
    time = Time()
    busy = Reply(status=429)
    with serving(lambda n, body: busy if time.now < 600 else Reply("at last")) as api:
        answers = asyncio.run(ask(api.base_url, Limits(max_retries=0), times=5, time=time))
        assert answers == ["at last"] * 5
        assert len(api.requests) < 5 * 16  # paused and probed, not hammered


def test_an_outage_of_5xx_is_waited_out_too() -> None:
    time = Time()
    broken = Reply(status=503)
    with serving(lambda n, body: broken if time.now < 600 else Reply("at last")) as api:
        answers = asyncio.run(ask(api.base_url, Limits(max_retries=1), times=5, time=time))
    assert answers == ["at last"] * 5


def test_a_provider_that_refuses_for_longer_than_the_longest_pause_ends_the_run() -> None:
    time = Time()
    with (
        serving(lambda n, body: Reply(status=429)) as api,
        pytest.raises(ProviderRefuses, match=r"paused for 900 s .* HTTP 429"),
    ):
        asyncio.run(ask(api.base_url, Limits(max_pause_s=900), times=3, time=time))
    assert 900 < time.now < 1200


def is_small(body: dict[str, Any]) -> bool:
    return bool(body["messages"][0]["content"] == "Hi")


def only_small(number: int, body: dict[str, Any]) -> Reply:
    return Reply("yes") if is_small(body) else Reply(status=500)


@pytest.mark.parametrize("times", [1, 2])
def test_the_last_request_fails_on_its_own_account_where_a_small_one_is_answered(
    times: int,
) -> None:
    time = Time()
    with serving(only_small) as api:
        with pytest.raises(ProviderError, match="4 times in a row, the last with HTTP 500"):
            asyncio.run(ask(api.base_url, Limits(max_retries=2), times=times, time=time))
        small = [body for body in api.requests if is_small(body)]
    assert 1 <= len(small) <= times
    assert small[0] == {**BODY, "messages": small[0]["messages"]}
    assert len(api.requests) <= times * 5  # one more after the small one was answered
    assert time.now < 120


def test_an_outage_that_meets_the_last_request_is_waited_out() -> None:
    time = Time()
    broken = Reply(status=503)
    with serving(lambda n, body: broken if time.now < 600 else Reply("at last")) as api:
        assert asyncio.run(ask(api.base_url, Limits(max_retries=1), time=time)) == ["at last"]
    assert len(api.requests) < 30


def test_a_probe_that_is_refused_proves_nothing() -> None:
    time = Time()

    def refuse_small(number: int, body: dict[str, Any]) -> Reply:
        return Reply(status=400) if is_small(body) else Reply(status=500)

    with serving(refuse_small) as api, pytest.raises(ProviderRefuses):
        asyncio.run(ask(api.base_url, Limits(max_retries=1, max_pause_s=900), time=time))


def test_what_is_no_completion_is_tried_again() -> None:
    with serving(failing(1, Reply(raw="<html>gateway</html>"))) as api:
        assert asyncio.run(ask(api.base_url)) == ["at last"]


def test_a_server_of_ours_that_has_ended_is_not_fed_more_work() -> None:
    def gone() -> None:
        raise EngineDied("vLLM has ended")

    with pytest.raises(EngineDied):
        asyncio.run(ask("http://127.0.0.1:9/v1", Limits(), still_there=gone))


def test_the_sessions_of_a_dead_replica_move_on() -> None:
    with serving() as one, serving() as two:
        urls = [one.base_url, "http://127.0.0.1:9/v1", two.base_url]
        answers = asyncio.run(ask(urls, Limits(max_retries=2), times=30))
        assert len(answers) == 30
        assert len(one.requests) + len(two.requests) == 30
        assert min(len(one.requests), len(two.requests)) > 5


def test_a_provider_that_keeps_failing_stops_the_shard() -> None:
    with serving(lambda number, body: Reply(status=500)) as api:
        with pytest.raises(ShardError, match="3 times in a row, the last with HTTP 500"):
            asyncio.run(ask(api.base_url))
        assert len(api.requests) == 4  # a small one as well


def test_an_address_where_nothing_answers_is_named() -> None:
    with pytest.raises(EngineUnreachable, match=r"127\.0\.0\.1:9"):
        asyncio.run(ask("http://127.0.0.1:9/v1"))


def test_concurrency_stays_within_the_limit() -> None:
    with serving(lambda number, body: Reply(delay_s=0.01)) as api:
        asyncio.run(ask(api.base_url, Limits(concurrency=3), times=20))
        assert api.most_in_flight == 3


def test_the_budget_stops_before_the_cap_not_after() -> None:
    def run(api: FakeApi, budget: Budget) -> None:
        asyncio.run(ask(api.base_url, Limits(concurrency=8), budget, times=100))

    budget = Budget(0.2)
    with serving() as api, pytest.raises(BudgetReached, match=r"paused: budget.*--set budget_usd"):
        run(api, budget)
    # An answer costs 0.004 dollars and 0.034 at its worst: all of the cap that is safe is used.
    assert 0.2 - 0.036 <= budget.spent_usd <= 0.2
    assert len(api.requests) < 100
