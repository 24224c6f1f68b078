"""What a provider said, or didn't say, instead of a completion: every shape of it as one type."""

import email.utils
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import openai

from parrot_core.errors import PicklableError
from parrot_core.text.sanitise import one_line

Kind = Literal["status", "timeout", "connection", "certificate", "invalid", "unsendable"]
"""How it failed: an error status (its own, or one that a body names), no answer in time, no
connection, a certificate that isn't trusted, an answer that is no completion, a request that can't
be written as JSON."""

LONGEST_WORDS = 600
_TITLE = re.compile(r"<title[^>]{0,80}>([^<]{1,200})", re.IGNORECASE)
_MARKUP = re.compile(r"<[^<>]{0,200}>")

NAMED_STATUS: Mapping[str, int] = {
    "rate_limit": 429,
    "rate_limited": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,  # OpenAI's type: of the limit that was passed
    "tokens": 429,
    "too_many_requests": 429,
    "throttling": 429,
    "resource_exhausted": 429,
    "overloaded": 503,
    "overloaded_error": 503,
    "unavailable": 503,
    "service_unavailable": 503,
    "engine_overloaded": 503,
    "server_error": 500,
    "api_error": 500,
    "internal": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "timeout": 504,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "unauthenticated": 401,
    "unauthorized": 401,
    "insufficient_quota": 402,
    "insufficient_balance": 402,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found": 404,
    "not_found_error": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "invalid_argument": 400,
    "invalid_request_error": 400,
    "bad_request": 400,
    "badrequesterror": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
}
"""The status that an error's code or type stands for, where its body came with HTTP 200."""

UNNAMED_STATUS = 502
"""Of an error inside HTTP 200 that names none: something behind the gateway failed."""


CLIENT_ERRORS: tuple[type[Exception], ...] = (
    openai.APIError,
    json.JSONDecodeError,
    UnicodeDecodeError,
)
"""What the ``openai`` client raises where a provider fails."""


class ProviderFailure(PicklableError):
    """One request was not completed. ``str()`` is what the provider said."""

    def __init__(
        self,
        kind: Kind,
        words: str,
        *,
        status: int | None = None,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.kind = kind
        self.status = status
        self.code = code
        self.type = type
        self.param = param
        self.retry_after = retry_after
        super().__init__(one_line(words, LONGEST_WORDS))

    @property
    def busy(self) -> bool:
        """A 429: nobody's fault, and never held against the request."""
        return self.status == 429

    @property
    def answered(self) -> bool:
        return self.kind in ("status", "invalid")

    @property
    def signature(self) -> tuple[str | int | None, ...]:
        """Failures that are alike in this are one and the same to us."""
        return (self.kind, self.status, self.code, self.type, self.param)


def refusal_of(
    status: int, body: object, headers: Mapping[str, str], *, inside_200: bool = False
) -> ProviderFailure:
    """The failure that an error's body tells of.

    Args:
        status: of the HTTP response; with ``inside_200`` what the error names counts instead.
        body: parsed JSON, or text.
        headers: of the response; they may say how long to wait.
        inside_200: the error came as a success.
    """
    errors = list(_errors_in(body))
    code, type_, param = (_first(errors, name) for name in ("code", "type", "param"))
    status_name = _first(errors, "status")  # Gemini: "RESOURCE_EXHAUSTED"
    if inside_200:
        status = _named_status(errors, code, type_, status_name)
    return ProviderFailure(
        "status",
        _words(errors, body),
        status=status,
        code=code,
        type=type_ or status_name,
        param=param or _refused_field(errors),
        retry_after=retry_after_of(headers),
    )


def failure_of(error: Exception) -> ProviderFailure:
    """The same for an error of the ``openai`` client, which the Batch API is asked with."""
    if isinstance(error, openai.APIStatusError):
        found = refusal_of(error.status_code, error.body, error.response.headers)
        if not str(found):
            found.args = (one_line(error.message, LONGEST_WORDS),)
        return found
    if isinstance(error, openai.APITimeoutError):
        return ProviderFailure("timeout", "no answer in time")
    if isinstance(error, openai.APIConnectionError):
        return ProviderFailure("connection", str(error))
    return ProviderFailure("invalid", str(error) or type(error).__name__)


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks us to wait, from its headers: a number, or a date."""
    for header, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[header]) * scale
        except (KeyError, ValueError):
            continue
        return max(0.0, seconds) if seconds < float("inf") else None  # NaN isn't smaller either
    try:  # by the provider's own clock, which may differ from ours
        then = email.utils.parsedate_to_datetime(headers["retry-after"])
        now = email.utils.parsedate_to_datetime(headers["date"])
        return max(0.0, (then - now).total_seconds())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _errors_in(body: object, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Objects of a body that may say something, the innermost ``error`` first."""
    if depth > 6:
        return
    if isinstance(body, list):
        for item in body[:10]:
            yield from _errors_in(item, depth + 1)
    elif isinstance(body, dict):
        for name in ("error", "errors", "detail", "message", "innererror"):
            if isinstance(body.get(name), dict | list):
                yield from _errors_in(body[name], depth + 1)
        yield body


def _first(errors: list[dict[str, Any]], name: str) -> str | None:
    for error in errors:
        value = error.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return one_line(value, 100)
    return None


def _named_status(errors: list[dict[str, Any]], *names: str | None) -> int:
    numbers = [_first(errors, name) for name in ("code", "status", "status_code", "http_code")]
    for number in filter(None, numbers):
        if number.isdecimal() and len(number) == 3 and 400 <= int(number) < 600:
            return int(number)
    for name in filter(None, names):
        found = NAMED_STATUS.get(name.lower().replace(" ", "_").replace("-", "_"))
        if found is not None:
            return found
    return UNNAMED_STATUS


def _refused_field(errors: list[dict[str, Any]]) -> str | None:
    """The field of FastAPI's validation errors: ``{"loc": ["body", "seed"], "msg": …}``."""
    for error in errors:
        place = error.get("loc")
        if isinstance(place, list) and place and isinstance(place[-1], str):
            return one_line(place[-1], 100)
    return None


def _words(errors: list[dict[str, Any]], body: object) -> str:
    for error in errors:
        for name in ("message", "msg", "detail", "error", "error_msg", "title"):
            said = error.get(name)
            if isinstance(said, str) and said.strip():
                field = error.get("loc")
                return f"{field[-1]}: {said}" if isinstance(field, list) and field else said
    if isinstance(body, str):
        title = _TITLE.search(body)
        return title[1] if title else _MARKUP.sub(" ", body[:4000])
    return "" if body in (None, {}, []) else str(body)[:LONGEST_WORDS]
