"""The one place where a provider's failure becomes a decision: by code, parameter, type, status.

The text of a message is only shown, with one exception: that a context is full is said by many
servers in words alone.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from parrot_core.engines.failures import Kind, ProviderFailure
from parrot_core.engines.types import (
    ContentFiltered,
    ContextFull,
    Decision,
    EngineError,
    EngineUnreachable,
    KeyRefused,
    NoCredit,
    RequestRefused,
    RunError,
)


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
    "exceed_context_size_error": _raising(ContextFull),  # llama.cpp's type
    "content_filter": _raising(ContentFiltered),
    "content_policy_violation": _raising(ContentFiltered),
    "data_inspection_failed": _raising(ContentFiltered),  # DashScope
    "responsibleaipolicyviolation": _raising(ContentFiltered),  # Azure
    "insufficient_quota": _raising(NoCredit),
    "billing_hard_limit_reached": _raising(NoCredit),
    "arrearage": _raising(NoCredit),  # DashScope
    "invalid_api_key": _raising(KeyRefused),
    "model_not_found": _raising(KeyRefused),
}
"""The provider's error code or type says most, whatever the status. In lower case."""

BY_PARAM: Mapping[str | None, ClassifiedFailure] = {
    "input_tokens": _raising(ContextFull),  # vLLM names what is too long, without a code
    "input_text": _raising(ContextFull),
}
"""The parameter that a 400 complains about."""

BY_STATUS: Mapping[int, ClassifiedFailure] = {
    401: _raising(KeyRefused),
    402: _raising(NoCredit),
    403: _raising(RequestRefused),  # of a key, or of a text: a small request tells which
    404: _raising(KeyRefused),
    405: _raising(RunError),  # not a chat API
    408: _NOW,
    409: _NOW,
    425: _LATER,
    429: _LATER,
}
"""Other statuses: 5xx retry later; the rest is wrong with this request alone."""

BY_KIND: Mapping[Kind, ClassifiedFailure] = {
    "timeout": _LATER,
    "connection": _LATER,
    "invalid": _LATER,
    "certificate": _raising(EngineUnreachable),
    "unsendable": _raising(RequestRefused),
}
"""What has no HTTP error status."""

_CONTEXT_FULL = re.compile(
    r"context (?:length|window|size)|(?:maximum|available) context|prompt is too long"
    r"|(?:input|prompt) (?:tokens? )?(?:length )?(?:exceeds|is too long)|too many (?:input )?tokens"
    r"|exceeds? .{0,40}maximum .{0,20}(?:input|prompt|tokens)"
    r"|max_tokens must be at least 1, got",  # vLLM: we never send less, so no place is left
    re.IGNORECASE,
)
_TOO_LONG = frozenset({400, 413, 422})


def decide(failure: ProviderFailure) -> ClassifiedFailure:
    if failure.kind != "status":
        return BY_KIND[failure.kind]
    status = failure.status or 500
    for name in (failure.code, failure.type):
        if name is not None and name.lower() in BY_CODE:
            return BY_CODE[name.lower()]
    if status in _TOO_LONG:
        if failure.param in BY_PARAM:
            return BY_PARAM[failure.param]
        if _CONTEXT_FULL.search(str(failure)):
            return _raising(ContextFull)
    if status in BY_STATUS:
        return BY_STATUS[status]
    return _LATER if status >= 500 else _raising(RequestRefused)


def kind_of(failure: ProviderFailure) -> str:
    """A failure's kind, to be counted by: one of ``traffic.FAILURE_KINDS``."""
    if failure.kind == "status":
        if failure.busy:
            return "429"
        return "5xx" if (failure.status or 500) >= 500 else "4xx"
    if failure.kind == "timeout":
        return "timeout"
    return "connection" if failure.kind in ("connection", "certificate") else "invalid"


def what_happened(failure: ProviderFailure) -> str:
    """A failure in a few words for a person: ``HTTP 429``, ``connection refused``."""
    words = {
        "status": f"HTTP {failure.status}",
        "timeout": "no answer in time",
        "connection": "no connection",
        "certificate": "a certificate that isn't trusted",
        "invalid": "an answer that is no completion",
        "unsendable": "a request that is no JSON",
    }
    return words[failure.kind]


def what_was_said(failure: ProviderFailure) -> str:
    """A failure with the provider's own words and its code."""
    said = str(failure) or "no message"
    if failure.kind != "status":
        return f"{what_happened(failure)}: {said}" if str(failure) else what_happened(failure)
    code = failure.code or failure.type
    named = f" ({code})" if code and code != str(failure.status) else ""
    return f"HTTP {failure.status}{named}: {said}"
