"""The one place where a provider's HTTP response becomes an answer or a typed failure.

Whatever bytes come in, nothing else goes out: an :class:`Answer`, or a ``ProviderFailure``.
"""

import codecs
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from parrot_core.engines.event_stream import assemble, is_event_stream
from parrot_core.engines.failures import ProviderFailure, refusal_of
from parrot_core.engines.thinking import split_thinking
from parrot_core.engines.types import FinishReason
from parrot_core.text.sanitise import one_line

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MOST_TOKENS = 10**9
"""A count of tokens above it is no count."""
DEEPEST = 8
"""Lists of parts within lists of parts are read so far."""

FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "complete": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "incomplete": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "refusal": "content_filter",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
}
"""What providers call the ends of a completion, in lower case. Anything else is ``unknown``."""

BROKEN_OFF = frozenset(
    {"error", "abort", "aborted", "network_error", "insufficient_system_resource", "engine_error"}
)
"""Ends that are failures: the text is a part of an answer at best."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion as far as the provider knows of it."""

    text: str
    finish_reason: FinishReason
    thinking: str | None = None
    prompt_tokens: int | None = None  # None: it didn't say
    completion_tokens: int | None = None


def read_response(status: int, headers: Mapping[str, str], data: bytes) -> Answer:
    """What an HTTP response says. Names of ``headers`` are matched as the mapping matches them.

    Raises:
        ProviderFailure: an error status, an error inside a success, or no completion.
    """
    content_type = headers.get("content-type", "")
    if not 200 <= status < 300:
        raise refusal_of(status, _body(data, content_type), headers)
    if is_event_stream(content_type, data[:64]):
        body: object = assemble(_text(data, content_type), _parsed)
    else:
        body = _body(data, content_type)
    return read_completion(body, headers)


def read_completion(body: object, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer that a parsed body of a success holds.

    Raises:
        ProviderFailure: it holds an error, or no completion.
    """
    if isinstance(body, list) and len(body) == 1:  # Gemini's errors come in a list
        body = body[0]
    if not isinstance(body, dict):
        raise ProviderFailure("invalid", f"an answer that is no completion: {_start(body)}")
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if body.get("error") or (choice is None and _names_an_error(body)):
        raise refusal_of(200, body, headers or {}, inside_200=True)
    if not isinstance(choice, dict):
        raise ProviderFailure("invalid", f"an answer without a choice: {_start(body)}")
    if choice.get("error"):
        raise refusal_of(200, choice, headers or {}, inside_200=True)
    finish = _finish_reason(choice.get("finish_reason"))
    text, thinking = _said(choice)
    usage = body.get("usage")
    prompt, written = _usage(usage if isinstance(usage, dict) else {})
    return Answer(text, finish, thinking, prompt, written)


def mended(text: str) -> str:
    """The text with what can be neither stored nor sent replaced, as ingest does it: half a
    surrogate pair, and NUL.
    """
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _finish_reason(value: object) -> FinishReason:
    if not isinstance(value, str):
        return "unknown"
    word = value.strip().lower().rpartition(".")[2].removeprefix("finish_reason_")
    if word in BROKEN_OFF:
        raise ProviderFailure(
            "status", f"the answer broke off: finish_reason {value}", status=502, code=word
        )
    return FINISH_REASONS.get(word, "unknown")


def _said(choice: dict[str, Any]) -> tuple[str, str | None]:
    message = choice.get("message")
    if not isinstance(message, dict):
        message = choice.get("delta")
    if not isinstance(message, dict):
        if not isinstance(choice.get("text"), str):
            raise ProviderFailure("invalid", f"an answer without a message: {_start(choice)}")
        message = {"content": choice["text"]}  # of the older completions
    content = message.get("content")
    if not isinstance(content, str | list | dict | None):
        raise ProviderFailure("invalid", f"an answer whose content is no text: {_start(content)}")
    text, apart = _content(content)
    if not text.strip() and isinstance(message.get("refusal"), str):
        text = message["refusal"]
    text, inside = split_thinking(mended(text))
    named = (message.get(name) for name in ("reasoning_content", "reasoning", "thinking"))
    said = next((value for value in named if value), None) or message.get("reasoning_details")
    thoughts = [*_strings(said), *apart, *([inside] if inside else [])]
    thinking = mended("".join(thoughts)).strip()
    return text.strip(), thinking or None


def _content(content: str | list[Any] | dict[str, Any] | None) -> tuple[str, list[str]]:
    """Text of a message's content, and the thinking in it, where it is a list of parts."""
    if content is None or isinstance(content, str):
        return content or "", []
    text: list[str] = []
    thoughts: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, dict):
            kind = str(part.get("type") or "").lower()
            thinks = "think" in kind or "reason" in kind or "thought" in kind
            (thoughts if thinks else text).extend(_strings(part))
    return "".join(text), thoughts


def _strings(value: object, depth: int = 0) -> Iterable[str]:
    """The texts in a part: a string, an object that has one, or a list of either."""
    if isinstance(value, str):
        yield value
    elif depth < DEEPEST and isinstance(value, list):
        for each in value:
            yield from _strings(each, depth + 1)
    elif depth < DEEPEST and isinstance(value, dict):
        for name in ("text", "thinking", "reasoning", "content", "summary", "value", "refusal"):
            if isinstance(value.get(name), str | list | dict):
                yield from _strings(value[name], depth + 1)
                return


def _usage(usage: dict[str, Any]) -> tuple[int | None, int | None]:
    """Tokens of prompt and completion; what one lacks follows from the sum of both."""
    prompt = _count(usage, "prompt_tokens", "input_tokens")
    written = _count(usage, "completion_tokens", "output_tokens")
    total = _count(usage, "total_tokens")
    if total is not None:
        if written is None and prompt is not None and total >= prompt:
            written = total - prompt
        elif prompt is None and written is not None and total >= written:
            prompt = total - written
    return prompt, written


def _count(usage: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS:
            return value
    return None


def _names_an_error(body: dict[str, Any]) -> bool:
    """An error without the word ``error``: ``{"code": 429, "message": …}``, ``{"detail": …}``."""
    return any(body.get(name) for name in ("message", "detail", "errors", "error_msg", "msg"))


def _body(data: bytes, content_type: str) -> object:
    """Parsed JSON, or the text that it isn't."""
    try:
        return orjson.loads(data)
    except ValueError:
        text = _text(data, content_type)
    try:
        return _parsed(text)
    except ValueError:
        return text


def _parsed(text: str) -> object:
    """JSON as the lenient parser reads it: with halves of surrogate pairs, NaN.

    Raises:
        ValueError: it isn't JSON.
    """
    try:
        return json.loads(text, strict=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _text(data: bytes, content_type: str) -> str:
    """A body in whatever encoding its mark, its header or its zeros tell of."""
    named = content_type.lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    marks = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    guessed = json.detect_encoding(data)
    encoding = named if named and not data.startswith(marks) and guessed == "utf-8" else guessed
    try:
        return data.decode(encoding)
    except (LookupError, UnicodeError, ValueError):
        return data.decode("utf-8", "replace").removeprefix("\ufeff")


def _start(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return one_line(text, 120) or "it is empty"
