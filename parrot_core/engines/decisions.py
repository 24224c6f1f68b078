"""The one place where a provider's failure becomes a decision: by type, status and error code.

OpenAI's codes and vLLM's parameters are named; everything else goes by its HTTP status. The text
of a message decides nothing, and is only shown.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import openai

from parrot_core.engines.types import (
    ContentFiltered,
    ContextFull,
    Decision,
    EngineError,
    KeyRefused,
    NoCredit,
    RequestRefused,
    RunError,
)


class NotACompletion(Exception):
    """HTTP 200 with something else than a chat completion: a proxy's page, a cut answer."""


@dataclass(frozen=True, slots=True)
class ClassifiedFailure:
    """What happens next, and as which error if it isn't another try."""

    decision: Decision
    error: Callable[[str], EngineError] | None = None


_NOW = ClassifiedFailure(Decision.RETRY_NOW)
_LATER = ClassifiedFailure(Decision.RETRY_LATER)


def _raising(error: type[EngineError]) -> ClassifiedFailure:
    return ClassifiedFailure(error.decision, error)


BY_CODE: Mapping[str | None, ClassifiedFailure] = {
    "context_length_exceeded": _raising(ContextFull),
    "content_filter": _raising(ContentFiltered),
    "content_policy_violation": _raising(ContentFiltered),
    "insufficient_quota": _raising(NoCredit),
    "billing_hard_limit_reached": _raising(NoCredit),
    "invalid_api_key": _raising(KeyRefused),
    "model_not_found": _raising(KeyRefused),
}
"""The provider's error code says most, whatever the status."""

BY_PARAM: Mapping[str | None, ClassifiedFailure] = {
    "input_tokens": _raising(ContextFull),  # vLLM names what is too long, without a code
    "input_text": _raising(ContextFull),
}
"""The parameter that a 400 complains about."""

BY_STATUS: Mapping[int, ClassifiedFailure] = {
    401: _raising(KeyRefused),
    402: _raising(NoCredit),
    403: _raising(KeyRefused),
    404: _raising(KeyRefused),
    405: _raising(RunError),  # not a chat API
    408: _NOW,
    409: _NOW,
    425: _LATER,
    429: _LATER,
}
"""Other statuses: 5xx retry later; the rest of 4xx is wrong with this request alone."""

BY_TYPE: Mapping[type[Exception], ClassifiedFailure] = {
    openai.APITimeoutError: _LATER,
    openai.APIConnectionError: _LATER,
    openai.APIResponseValidationError: _LATER,
    NotACompletion: _LATER,
    json.JSONDecodeError: _LATER,
    UnicodeDecodeError: _LATER,
    UnicodeEncodeError: _raising(RequestRefused),  # half a surrogate pair can't be sent
}
"""What has no HTTP error status; the first type that fits."""

FAILURES: tuple[type[Exception], ...] = (openai.APIError, *BY_TYPE)
"""What sending a request can raise that :func:`decide` knows."""


def decide(error: Exception) -> ClassifiedFailure:
    """What a failed request means.

    Raises:
        Exception: the error itself, if no row of the table fits: it is a bug, not a failure.
    """
    if isinstance(error, openai.APIStatusError):
        return _of_status(error.status_code, error.code, error.param)
    for kind, verdict in BY_TYPE.items():
        if isinstance(error, kind):
            return verdict
    if isinstance(error, openai.APIError) and error.code in BY_CODE:
        return BY_CODE[error.code]
    raise error


def _of_status(status: int, code: str | None, param: str | None) -> ClassifiedFailure:
    if code in BY_CODE:
        return BY_CODE[code]
    if status == 400 and param in BY_PARAM:
        return BY_PARAM[param]
    if status in BY_STATUS:
        return BY_STATUS[status]
    return _LATER if status >= 500 else _raising(RequestRefused)


def kind_of(error: Exception) -> str:
    """A failure's kind, to be counted by: one of ``traffic.FAILURE_KINDS``."""
    if isinstance(error, openai.APIStatusError):
        if error.status_code == 429:
            return "429"
        return "5xx" if error.status_code >= 500 else "4xx"
    if isinstance(error, openai.APITimeoutError):
        return "timeout"
    return "connection" if isinstance(error, openai.APIConnectionError) else "invalid"


def what_happened(error: Exception) -> str:
    """A failure in a few words for a person: ``HTTP 429``, ``connection refused``."""
    if isinstance(error, openai.APIStatusError):
        return f"HTTP {error.status_code}"
    if isinstance(error, openai.APITimeoutError):
        return "no answer in time"
    if isinstance(error, openai.APIConnectionError):
        return "no connection"
    return "an answer that is no completion"
