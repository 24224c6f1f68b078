"""Every failure of a provider has one decision, found by type, status and code alone."""

import json
from functools import cache

import httpx2
import openai
import pytest

from parrot_core.engines.decisions import (
    BY_CODE,
    BY_PARAM,
    BY_STATUS,
    BY_TYPE,
    NotACompletion,
    decide,
    what_happened,
)
from parrot_core.engines.types import (
    BudgetReached,
    ContentFiltered,
    ContextFull,
    Decision,
    EngineDied,
    EngineError,
    EngineUnreachable,
    KeyRefused,
    NoCredit,
    ProviderRefuses,
    RequestRefused,
    RowError,
    RunError,
    ShardError,
)

REQUEST = httpx2.Request("POST", "http://provider/v1/chat/completions")


@cache
def client() -> openai.OpenAI:
    """One for all tests: each that is made reads the machine's certificates."""
    return openai.OpenAI(api_key="k", base_url="http://provider/v1")


def status(code: int, /, **error: str) -> openai.APIStatusError:
    """The error that the client makes of an answer with this status."""
    content = json.dumps({"error": {"message": "misleading: context_length_exceeded", **error}})
    response = httpx2.Response(code, request=REQUEST, content=content)
    return client()._make_status_error_from_response(response)


EVERY_STATUS = {
    400: (Decision.GIVE_UP_ROW, RequestRefused),
    401: (Decision.STOP_RUN, KeyRefused),
    402: (Decision.STOP_RUN, NoCredit),
    403: (Decision.STOP_RUN, KeyRefused),
    404: (Decision.STOP_RUN, KeyRefused),
    405: (Decision.STOP_RUN, RunError),
    408: (Decision.RETRY_NOW, None),
    409: (Decision.RETRY_NOW, None),
    413: (Decision.GIVE_UP_ROW, RequestRefused),
    415: (Decision.GIVE_UP_ROW, RequestRefused),
    422: (Decision.GIVE_UP_ROW, RequestRefused),
    425: (Decision.RETRY_LATER, None),
    429: (Decision.RETRY_LATER, None),
    500: (Decision.RETRY_LATER, None),
    502: (Decision.RETRY_LATER, None),
    503: (Decision.RETRY_LATER, None),
    504: (Decision.RETRY_LATER, None),
    529: (Decision.RETRY_LATER, None),
}
EVERY_CODE = {
    "context_length_exceeded": ContextFull,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "insufficient_quota": NoCredit,
    "billing_hard_limit_reached": NoCredit,
    "invalid_api_key": KeyRefused,
    "model_not_found": KeyRefused,
}


@pytest.mark.parametrize(("code", "expected"), EVERY_STATUS.items())
def test_every_status_has_its_decision(
    code: int, expected: tuple[Decision, type[EngineError] | None]
) -> None:
    verdict = decide(status(code))
    assert (verdict.decision, verdict.error) == expected
    assert what_happened(status(code)) == f"HTTP {code}"


def test_no_status_is_without_a_decision() -> None:
    for code in range(400, 600):
        verdict = decide(status(code))
        assert (verdict.error is None) == (
            verdict.decision in (Decision.RETRY_NOW, Decision.RETRY_LATER)
        )
    assert EVERY_STATUS.keys() >= BY_STATUS.keys()


@pytest.mark.parametrize(("code", "error"), EVERY_CODE.items())
@pytest.mark.parametrize("http", [400, 429, 500])
def test_an_error_code_says_more_than_the_status(
    code: str, error: type[EngineError], http: int
) -> None:
    assert decide(status(http, code=code)).error is error


def test_all_codes_and_parameters_are_tested() -> None:
    assert EVERY_CODE.keys() == BY_CODE.keys()
    for param in BY_PARAM:
        assert param is not None
        assert decide(status(400, param=param)).error is ContextFull
        assert decide(status(500, param=param)).error is None


@pytest.mark.parametrize(
    ("error", "decision", "words"),
    [
        (openai.APITimeoutError(REQUEST), Decision.RETRY_LATER, "no answer in time"),
        (openai.APIConnectionError(request=REQUEST), Decision.RETRY_LATER, "no connection"),
        (NotACompletion(), Decision.RETRY_LATER, "an answer that is no completion"),
        (json.JSONDecodeError("x", "y", 0), Decision.RETRY_LATER, "an answer that is no"),
        (UnicodeDecodeError("utf-8", b"", 0, 1, ""), Decision.RETRY_LATER, "an answer that is"),
        (UnicodeEncodeError("utf-8", "", 0, 1, ""), Decision.GIVE_UP_ROW, "an answer that is"),
        (
            openai.APIResponseValidationError(httpx2.Response(200, request=REQUEST), body=None),
            Decision.RETRY_LATER,
            "an answer that is no completion",
        ),
        (
            openai.APIError("x", REQUEST, body={"code": "content_filter"}),
            Decision.GIVE_UP_ROW,
            "an answer",
        ),
    ],
)
def test_every_type_has_its_decision(error: Exception, decision: Decision, words: str) -> None:
    assert decide(error).decision is decision
    assert what_happened(error).startswith(words)


def test_all_types_are_tested() -> None:
    assert len(BY_TYPE) == 7


def test_what_is_no_failure_of_a_provider_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        decide(KeyError("a bug"))


@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        (RowError, Decision.GIVE_UP_ROW),
        (ContextFull, Decision.GIVE_UP_ROW),
        (ContentFiltered, Decision.GIVE_UP_ROW),
        (RequestRefused, Decision.GIVE_UP_ROW),
        (ShardError, Decision.STOP_SHARD),
        (RunError, Decision.STOP_RUN),
        (EngineUnreachable, Decision.STOP_RUN),
        (EngineDied, Decision.STOP_RUN),
        (KeyRefused, Decision.STOP_RUN),
        (NoCredit, Decision.STOP_RUN),
        (ProviderRefuses, Decision.STOP_RUN),
        (BudgetReached, Decision.STOP_RUN),
    ],
)
def test_every_error_carries_its_decision(kind: type[EngineError], decision: Decision) -> None:
    assert kind.decision is decision
