"""Every failure of a provider has one decision, found by type, status and code alone."""

import json

import httpx2
import openai
import pytest

from parrot_core.engines.decisions import (
    BY_CODE,
    BY_KIND,
    BY_PARAM,
    BY_STATUS,
    decide,
    what_happened,
)
from parrot_core.engines.failures import (
    Kind,
    ProviderFailure,
    failure_of,
    refusal_of,
    retry_after_of,
)
from parrot_core.engines.types import (
    BudgetReached,
    ContentFiltered,
    ContextFull,
    Decision,
    EngineDied,
    EngineError,
    EngineUnreachable,
    EveryRequestRefused,
    KeyRefused,
    LimitUsedUp,
    NoCredit,
    ProviderRefuses,
    RequestRefused,
    RowError,
    RunError,
    ShardError,
)

REQUEST = httpx2.Request("POST", "http://provider/v1/chat/completions")


def status(code: int, /, **error: str) -> ProviderFailure:
    """The failure that an answer with this status is."""
    return refusal_of(code, {"error": {"message": "misleading: insufficient_quota", **error}}, {})


EVERY_STATUS = {
    400: (Decision.GIVE_UP_ROW, RequestRefused),
    401: (Decision.STOP_RUN, KeyRefused),
    402: (Decision.STOP_RUN, NoCredit),
    403: (Decision.GIVE_UP_ROW, RequestRefused),
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
    "exceed_context_size_error": ContextFull,
    "data_inspection_failed": ContentFiltered,
    "responsibleaipolicyviolation": ContentFiltered,
    "arrearage": NoCredit,
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
    "words",
    [
        "5000 tokens wanted, but this model's maximum context length is 4096 tokens",
        "max_tokens must be at least 1, got 0.",  # vLLM, of a prompt that fills the context
        "prompt is too long: 210000 tokens > 200000 maximum",
        "Range of input length exceeds the maximum of 30720 tokens",
    ],
)
def test_a_full_context_is_known_by_its_words_where_nothing_else_tells(words: str) -> None:
    body = {"error": {"message": words, "type": "BadRequestError", "code": 400}}
    assert decide(refusal_of(400, body, {})).error is ContextFull
    assert decide(refusal_of(500, body, {})).error is None


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens is too large: 99999. This model supports at most 16384 completion tokens",
        "Unsupported parameter: 'max_tokens' is not supported with this model",
    ],
)
def test_a_limit_that_is_refused_is_no_full_context(words: str) -> None:
    body = {"error": {"message": words, "param": "max_tokens"}}
    assert decide(refusal_of(400, body, {})).error is RequestRefused


EVERY_KIND: dict[Kind, tuple[Decision, str]] = {
    "timeout": (Decision.RETRY_LATER, "no answer in time"),
    "connection": (Decision.RETRY_LATER, "no connection"),
    "invalid": (Decision.RETRY_LATER, "an answer that is no completion"),
    "certificate": (Decision.STOP_RUN, "a certificate that isn't trusted"),
    "unsendable": (Decision.GIVE_UP_ROW, "a request that is no JSON"),
}


@pytest.mark.parametrize(("kind", "expected"), EVERY_KIND.items())
def test_every_kind_has_its_decision(kind: Kind, expected: tuple[Decision, str]) -> None:
    failure = ProviderFailure(kind, "words")
    assert (decide(failure).decision, what_happened(failure)) == expected


def test_all_kinds_are_tested() -> None:
    assert EVERY_KIND.keys() == BY_KIND.keys()


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (openai.APITimeoutError(REQUEST), Decision.RETRY_LATER),
        (openai.APIConnectionError(request=REQUEST), Decision.RETRY_LATER),
        (json.JSONDecodeError("x", "y", 0), Decision.RETRY_LATER),
        (
            openai.APIStatusError("x", response=httpx2.Response(401, request=REQUEST), body=None),
            Decision.STOP_RUN,
        ),
    ],
)
def test_an_error_of_the_client_has_the_same_decision(error: Exception, decision: Decision) -> None:
    assert decide(failure_of(error)).decision is decision


def test_a_date_in_retry_after_is_measured_by_the_providers_own_clock() -> None:
    headers = {
        "retry-after": "Sun, 22 Nov 2026 10:00:42 GMT",
        "date": "Sun, 22 Nov 2026 10:00:00 GMT",
    }
    assert retry_after_of(headers) == 42


@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        (RowError, Decision.GIVE_UP_ROW),
        (ContextFull, Decision.GIVE_UP_ROW),
        (ContentFiltered, Decision.GIVE_UP_ROW),
        (RequestRefused, Decision.GIVE_UP_ROW),
        (LimitUsedUp, Decision.GIVE_UP_ROW),
        (EveryRequestRefused, Decision.STOP_RUN),
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
