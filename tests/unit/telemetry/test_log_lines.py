"""A log record becomes one line of JSON that says where it comes from, and holds no secret."""

import json
import logging
import threading
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.telemetry.execution_context import current_context, in_context
from parrot_core.telemetry.log_lines import JsonLines, secrets_of


def line(message: str, *arguments: object, formatter: JsonLines | None = None) -> dict[str, Any]:
    record = logging.LogRecord(
        "parrot_core.x", logging.WARNING, "x.py", 1, message, arguments, None
    )
    text = (formatter or JsonLines()).format(record)
    assert "\n" not in text
    read = json.loads(text)
    assert isinstance(read, dict)
    return read


def test_a_line_says_time_level_logger_message_and_place() -> None:
    with in_context("nightly", "synthesize"), in_context(shard=3), in_context(session="s7"):
        told = line("%d of %d", 1, 2)
    assert told.pop("time").startswith("20")
    assert told == {
        "level": "WARNING",
        "logger": "parrot_core.x",
        "message": "1 of 2",
        "run": "nightly",
        "stage": "synthesize",
        "shard": 3,
        "session": "s7",
    }
    assert "run" not in line("outside")


def test_what_prefect_adds_to_a_record_and_a_traceback_are_in_the_line() -> None:
    record = logging.LogRecord("prefect.task_runs", logging.ERROR, "x.py", 1, "no", (), None)
    record.task_run_name = "synthesize-00003"
    try:
        raise ValueError("broken")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    told = json.loads(JsonLines().format(record))
    assert told["task_run_name"] == "synthesize-00003"
    assert "ValueError: broken" in told["traceback"]


@given(st.text(), st.text())
def test_whatever_is_logged_is_one_line_that_can_be_read_again(message: str, session: str) -> None:
    with in_context(session=session):
        told = line("%s", message)
    assert told["message"] == message
    assert told.get("session", "") == session


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "hf_token", "PREFECT_API_AUTH_STRING"])
def test_the_value_of_a_secret_variable_is_in_no_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, 'sk-"quoted"-\\4f9a')
    formatter = JsonLines()
    said = json.dumps(line('refused: sk-"quoted"-\\4f9a', formatter=formatter))
    assert "4f9a" not in said
    assert "refused: [key]" in said
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "m", (), None)
    record.header = 'Bearer sk-"quoted"-\\4f9a'
    assert "4f9a" not in formatter.format(record)


def test_words_and_addresses_are_no_secrets() -> None:
    assert secrets_of({"API_KEY": "none", "HOME": "/home/parrot", "KEYBOARD": "qwertzuiop"}) == ()


def test_a_thread_is_where_the_context_it_runs_in_is() -> None:
    seen = []
    with in_context("demo", "capo", 1):
        inside = copy_context()
    thread = threading.Thread(target=inside.run, args=(lambda: seen.append(current_context()),))
    thread.start()
    thread.join()
    assert seen[0].fields() == {"run": "demo", "stage": "capo", "shard": 1}
    assert current_context().fields() == {}
