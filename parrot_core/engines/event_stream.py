"""Puts a completion together that came as server-sent events, asked for or not."""

from collections.abc import Callable, Iterator
from typing import Any

from parrot_core.engines.failures import ProviderFailure

Parse = Callable[[str], object]


def is_event_stream(content_type: str, start: bytes) -> bool:
    """Whether a body is a stream, by its header or by how it begins."""
    return "event-stream" in content_type.lower() or start.lstrip().startswith(
        (b"data:", b"event:", b": ")
    )


def assemble(text: str, parse: Parse) -> dict[str, Any]:
    """The body that the same answer would have had without a stream.

    Args:
        parse: reads one event's JSON; raises ``ValueError``.

    Raises:
        ProviderFailure: it holds no completion, or was cut before its end.
    """
    pieces: dict[str, list[object]] = {"content": [], "thinking": []}
    finish: object = None
    usage: object = None
    ended = False
    for event in _events(text):
        if event == "[DONE]":
            ended = True
            continue
        try:
            chunk = parse(event)
        except ValueError:
            raise ProviderFailure("invalid", f"a stream with what isn't JSON: {event}") from None
        if not isinstance(chunk, dict):
            continue
        if chunk.get("error"):
            return chunk
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"] if isinstance(chunk.get("choices"), list) else ():
            if not isinstance(choice, dict) or choice.get("index") not in (0, None):
                continue
            if isinstance(choice.get("message"), dict):  # the whole answer in one event
                return chunk
            finish = choice.get("finish_reason") or finish
            _take(choice, pieces)
    if not (ended or finish):
        raise ProviderFailure("invalid", "a stream that ended before its answer did")
    message = {"content": pieces["content"], "reasoning_content": pieces["thinking"]}
    return {"choices": [{"finish_reason": finish, "message": message}], "usage": usage}


def _take(choice: dict[str, Any], pieces: dict[str, list[object]]) -> None:
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        if isinstance(choice.get("text"), str):
            pieces["content"].append(choice["text"])
        return
    thinking = delta.get("reasoning_content") or delta.get("reasoning")  # some write it in both
    for kind, value in (("thinking", thinking), ("content", delta.get("content"))):
        if isinstance(value, list):
            pieces[kind] += value
        elif value is not None:
            pieces[kind].append(value)


def _events(text: str) -> Iterator[str]:
    """The data of each event; comments and other fields are skipped."""
    data: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line.strip():
            yield from _whole(data)
            data = []
    yield from _whole(data)


def _whole(data: list[str]) -> Iterator[str]:
    """One event of several lines, or several that no blank line parts."""
    if len(data) > 1 and all(line.startswith(("{", "[DONE]")) for line in data):
        yield from data
    elif data:
        yield "\n".join(data)
