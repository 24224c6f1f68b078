"""Whatever a provider sends is an answer or a typed failure."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.decisions import decide
from parrot_core.engines.failures import ProviderFailure
from parrot_core.engines.response import Answer, mended, read_response
from parrot_core.engines.types import Decision

NO_HEADERS: dict[str, str] = {}
THOUGHT, TEXT = "Height is asked for.", "About five metres."


def completion(content: Any = TEXT, finish_reason: Any = "stop", **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": content, **message}
    return {
        "choices": [{"index": 0, "finish_reason": finish_reason, "message": said}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7},
    }


def read(body: object, status: int = 200, content_type: str = "application/json") -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_response(status, {"content-type": content_type}, data)


def failure(body: object, status: int = 200) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        read(body, status)
    return caught.value


def test_a_plain_completion_is_read() -> None:
    assert read(completion()) == Answer(TEXT, "stop", None, 11, 7)


@pytest.mark.parametrize(
    "body",
    [
        completion(TEXT, reasoning_content=THOUGHT),
        completion(TEXT, reasoning=THOUGHT),
        completion(TEXT, reasoning_details=[{"type": "reasoning.text", "text": THOUGHT}]),
        completion(f"<think>\n{THOUGHT}\n</think>\n\n{TEXT}"),
        completion(
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
                {"type": "text", "text": TEXT},
            ]
        ),
        completion([{"type": "reasoning", "summary": [{"text": THOUGHT}]}, TEXT]),
    ],
)
def test_thinking_is_kept_apart_wherever_it_is(body: object) -> None:
    answer = read(body)
    assert (answer.text, answer.thinking) == (TEXT, THOUGHT)


def test_an_answer_of_thinking_alone_has_no_text() -> None:
    answer = read(completion(None, "length", reasoning_content=THOUGHT))
    assert (answer.text, answer.finish_reason, answer.thinking) == ("", "length", THOUGHT)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("FinishReason.MAX_TOKENS", "length"),
        ("end_turn", "stop"),
        ("SAFETY", "content_filter"),
        ("function_call", "tool_calls"),
        ("whatever", "unknown"),
        (None, "unknown"),
        (7, "unknown"),
    ],
)
def test_a_finish_reason_is_said_in_one_language(given: object, expected: str) -> None:
    assert read(completion(TEXT, given)).finish_reason == expected


@pytest.mark.parametrize("reason", ["error", "ERROR", "abort", "network_error"])
def test_an_answer_that_broke_off_is_tried_again(reason: str) -> None:
    assert decide(failure(completion("About fi", reason))).decision is Decision.RETRY_LATER


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": 429, "message": "busy"}}, 429),
        ({"error": {"code": "429", "message": "busy"}, "choices": None}, 429),
        ({"error": {"code": "rate_limit_exceeded", "message": "busy"}}, 429),
        ([{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}], 503),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "busy"}}, 429),
        ({"error": {"type": "overloaded_error", "message": "busy"}, "type": "error"}, 503),
        ({"choices": [{"error": {"code": 429, "message": "busy"}, "finish_reason": "error"}]}, 429),
        ({"error": "busy"}, 502),
        ({"code": 429, "message": "busy"}, 429),
        ({"error": {"code": 400, "message": "busy"}}, 400),
    ],
)
def test_an_error_inside_a_success_is_the_status_that_it_names(body: object, status: int) -> None:
    found = failure(body)
    assert (found.kind, found.status, str(found)) == ("status", status, "busy")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "text",
        7,
        None,
        {"choices": None},
        {"choices": []},
        {"choices": "no"},
        {"choices": [None]},
        {"choices": [{}]},
        completion(7),
        completion(True),
        b"",
        b"<html><title>502 Bad Gateway</title></html>",
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_what_is_no_completion_is_tried_again(body: object) -> None:
    found = failure(body)
    assert found.kind == "invalid"
    assert decide(found).decision is Decision.RETRY_LATER


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, (None, None)),
        ({}, (None, None)),
        ([], (None, None)),
        ({"prompt_tokens": "9", "completion_tokens": 3.0}, (9, 3)),
        ({"prompt_tokens": 9, "total_tokens": 18}, (9, 9)),
        ({"total_tokens": 18}, (None, None)),
        ({"prompt_tokens": -1, "completion_tokens": 10**30}, (None, None)),
        ({"prompt_tokens": {"text": 1}, "completion_tokens": True}, (None, None)),
        ({"input_tokens": 4, "output_tokens": 5}, (4, 5)),
    ],
)
def test_a_usage_is_taken_for_what_it_is(usage: object, expected: object) -> None:
    answer = read({**completion(), "usage": usage})
    assert (answer.prompt_tokens, answer.completion_tokens) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cut \ud83d", "cut \ufffd"),
        ("\ude00 cut", "\ufffd cut"),
        ("a\0b", "a\ufffdb"),
        ("\U0001f600", "\U0001f600"),
    ],
)
def test_half_a_character_and_nul_are_mended(text: str, expected: str) -> None:
    assert read(completion(text)).text == expected


@given(st.text(st.characters(codec=None)))
def test_whatever_is_mended_can_be_stored_and_sent(text: str) -> None:
    whole = mended(text)
    assert orjson.loads(orjson.dumps(whole)) == whole
    assert mended(whole) == whole


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_any_unicode_encoding_is_read(encoding: str) -> None:
    data = json.dumps(completion("长颈鹿"), ensure_ascii=False).encode(encoding)
    assert read(data).text == "长颈鹿"


def test_the_charset_of_the_header_counts() -> None:
    data = json.dumps(completion("长颈鹿"), ensure_ascii=False).encode("gbk")
    assert read(data, content_type="application/json; charset=gbk").text == "长颈鹿"


def test_ten_megabytes_are_read() -> None:
    assert len(read(completion("word " * 2_000_000)).text) == 9_999_999


def stream(*chunks: object, done: bool = True) -> bytes:
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return ("".join(events) + "data: [DONE]\n\n" * done).encode()


def delta(finish_reason: str | None = None, **said: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish_reason}]}


def test_a_stream_that_nobody_asked_for_is_put_together() -> None:
    chunks = [
        delta(role="assistant", content=""),
        delta(reasoning_content="Height is "),
        delta(reasoning_content="asked for."),
        delta(content="About five \ud83d"),
        delta(content="\ude00"),
        delta("length"),
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    ]
    answer = read(b": comment\n\n" + stream(*chunks), content_type="text/event-stream")
    assert answer == Answer("About five \U0001f600", "length", THOUGHT, 3, 4)


def test_a_stream_without_its_header_is_known_by_how_it_begins() -> None:
    assert read(stream(delta(content=TEXT))).text == TEXT


def test_a_stream_that_was_cut_is_tried_again() -> None:
    assert failure(stream(delta(content=TEXT), done=False)).kind == "invalid"


def test_an_error_in_a_stream_is_the_status_that_it_names() -> None:
    assert failure(stream(delta(content="A"), {"error": {"code": 429}})).status == 429


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"error": {"message": "no", "param": "seed", "code": "x"}}, "seed", "no"),
        (
            {
                "object": "error",
                "message": {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs"}]},
            },
            "seed",
            "seed: Extra inputs",
        ),
        ({"detail": [{"loc": ["body", "seed"], "msg": "extra"}]}, "seed", "seed: extra"),
        ([{"error": {"code": 400, "message": "unknown key"}}], None, "unknown key"),
        ({"error": "just words"}, None, "just words"),
        (b"<html><head><title>Bad request</title></head></html>", None, "Bad request"),
        (b"", None, ""),
    ],
)
def test_a_refusals_words_and_parameter_are_found(
    body: object, param: str | None, words: str
) -> None:
    found = failure(body, 422)
    assert (found.status, found.param, str(found)) == (422, param, words)


NAMES = """error choices message content text usage code type status param loc detail
finish_reason reasoning reasoning_content delta index refusal thinking msg prompt_tokens
completion_tokens total_tokens"""
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["error", "429", "length", "data: x", "<think>", "</think>\n"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=6)
    ),
    max_leaves=20,
)
CHARSETS = ("hex", "idna", "utf-7", "utf-16", "\0", "nothing")
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(
            ["", "text/event-stream", *(f"application/json; charset={name}" for name in CHARSETS)]
        ),
        "retry-after": st.sampled_from(
            ["nan", "-1", "1e999", "7", "Sun, 22 Nov 2026 10:00:42 GMT"]
        ),
        "retry-after-ms": st.sampled_from(["nan", "-5", "70"]),
        "date": st.sampled_from(["", "Sun, 22 Nov 2026 10:00:00 GMT"]),
    },
)


def is_understood(status: int, headers: dict[str, str], data: bytes) -> None:
    """Nothing but an answer that can be kept, or a failure that has a decision, comes out."""
    failed: ProviderFailure | None = None
    try:
        answer = read_response(status, headers, data)
    except ProviderFailure as found:
        failed = found
    if failed is not None:
        assert decide(failed).decision is not None
        assert failed.retry_after is None or 0 <= failed.retry_after < float("inf")
        str(failed).encode()
        return
    for text in (answer.text, answer.thinking or ""):
        assert "\0" not in text
        text.encode()
    for count in (answer.prompt_tokens, answer.completion_tokens):
        assert count is None or 0 <= count < 2**63


@given(JSON, st.sampled_from([200, 200, 201, 301, 400, 429, 500]), HEADERS)
def test_any_json_is_understood(body: object, status: int, headers: dict[str, str]) -> None:
    is_understood(status, headers, json.dumps(body).encode())


@given(JSON, JSON, JSON, HEADERS)
def test_any_completion_is_understood(
    message: object, finish: object, usage: object, headers: dict[str, str]
) -> None:
    choice = {"message": message, "finish_reason": finish}
    is_understood(200, headers, json.dumps({"choices": [choice], "usage": usage}).encode())


@given(st.lists(JSON, max_size=4), st.binary(max_size=10))
def test_any_stream_is_understood(chunks: list[object], noise: bytes) -> None:
    is_understood(200, {"content-type": "text/event-stream"}, stream(*chunks) + noise)


@given(st.binary(max_size=60), st.sampled_from([200, 404]), HEADERS)
def test_any_bytes_are_understood(data: bytes, status: int, headers: dict[str, str]) -> None:
    is_understood(status, headers, data)
