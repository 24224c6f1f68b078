"""The lines of OpenAI's batch files: requests in, completions and errors out, every error typed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from parrot_core.engines.decisions import decide, what_happened, what_was_said
from parrot_core.engines.failures import ProviderFailure, refusal_of
from parrot_core.engines.response import Answer, read_completion
from parrot_core.engines.types import EngineError, RequestRefused, RowError, RunError, ShardError

ENDPOINT: Final = "/v1/chat/completions"
EXPIRED, CANCELLED, TIMED_OUT = "batch_expired", "batch_cancelled", "request_timeout"
ROOM_CODES = ("token_limit_exceeded",)  # the organisation has too many tokens in batches already


@dataclass(frozen=True, slots=True)
class Bought:
    """A completion, as JSON: as small as can be until somebody takes it."""

    body: bytes

    def answer(self) -> Answer:
        """What the completion says; it was read once already."""
        return read_completion(json.loads(self.body))


@dataclass(frozen=True, slots=True)
class Again:
    """Not sold, and worth another batch; ``counts`` as one of ``max_retries`` or not."""

    why: str
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Not sold: somebody cancelled the batch."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not sold, and no other try would be."""

    error: EngineError


Outcome = Bought | Again | Cancelled | Refused
"""What became of one request of a batch."""


def request_line(key: str, body: dict[str, Any]) -> bytes:
    """One line of an input file.

    Raises:
        RequestRefused: the messages can't be written as UTF-8.
    """
    line = {"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}
    try:
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError as error:
        raise RequestRefused(f"the messages hold text that is not Unicode: {error}") from None


def read_line(line: str, where: str) -> tuple[str, Outcome]:
    """One line of an output or error file: the request's key and what became of it.

    Raises:
        ShardError: it is no such line. It may be paid for, so nothing is guessed.
    """
    try:
        item = json.loads(line)
        key, response, error = item["custom_id"], item.get("response"), item.get("error")
        if response is None:
            return key, _of_code(error or {}, where)
        status, body = response["status_code"], response["body"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ShardError(f"{where}: a line that is no batch result: {line[:120]!r}") from None
    try:
        if status != 200:
            raise refusal_of(status, body, {})
        read_completion(body)
    except ProviderFailure as failure:
        return key, _of_failure(failure, where)
    return key, Bought(json.dumps(body).encode())


def _of_code(error: dict[str, Any], where: str) -> Outcome:
    code = str(error.get("code") or "no code")
    if code == CANCELLED:
        return Cancelled()
    if code in (EXPIRED, TIMED_OUT):
        return Again(code)
    known = _known(error, where)
    return Refused(known) if known is not None else Again(code)


def _of_failure(failure: ProviderFailure, where: str) -> Outcome:
    """The same decisions as for a response of this status and body."""
    verdict = decide(failure)
    if verdict.error is None:
        return Again(what_happened(failure))
    return Refused(verdict.error(f"{where}: {what_was_said(failure)}"))


def batch_refusal(errors: Sequence[dict[str, Any]], where: str) -> EngineError:
    """What it means that a batch failed as a whole; never an error of a single row."""
    for error in errors:
        known = _known(error, where)
        if known is not None and not isinstance(known, RowError):
            return known
    return RunError(where)


def _known(error: dict[str, Any], where: str) -> EngineError | None:
    """What an error code without a status means; None when the code isn't known."""
    verdict = decide(refusal_of(500, error, {}))  # of all statuses a 5xx says least
    if verdict.error is None:
        return None
    return verdict.error(f"{where}: {error.get('message') or error.get('code')}")
