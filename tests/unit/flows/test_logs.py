"""`--log-format json` makes every line on standard error a JSON object."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.logs import JSON_ENVIRONMENT, LogFormat, as_json, for_people

COMMAND = [sys.executable, "-c", "from parrot_cli.main import main; main()"]
PREFECT = """
import logging, warnings
from prefect.logging import get_logger
from prefect.logging.configuration import setup_logging
setup_logging()
get_logger("flow_runs").info("a :warning: of Prefect's", extra={"send_to_api": False})
logging.getLogger("some.library").warning("of a library")
logging.getLogger("parrot_core.x").warning("ours")
warnings.warn("of Python")
"""


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_mistake_is_one_json_line_where_machines_read_and_a_sentence_elsewhere() -> None:
    wrong = ["validate", "there-is-none.yaml"]
    for given, environment in (
        (["--log-format", "json"], {}),
        ([], {"PARROT_LOG_FORMAT": "json"}),
    ):
        done = subprocess.run(
            [*COMMAND, *given, *wrong], env=os.environ | environment, capture_output=True, text=True
        )
        (told,) = lines(done.stderr)
        assert done.returncode == 2
        assert told["level"] == "ERROR"
        assert "there-is-none.yaml" in str(told["message"])
    done = subprocess.run([*COMMAND, *wrong], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there-is-none.yaml")


def test_a_prefect_process_with_that_environment_writes_json_lines_only(tmp_path: Path) -> None:
    environment = os.environ | JSON_ENVIRONMENT | {"PREFECT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PREFECT], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = {str(each["logger"]): str(each["message"]) for each in lines(done.stderr)}
    assert told["prefect.flow_runs"] == "a :warning: of Prefect's"
    assert told["some.library"] == "of a library"
    assert told["parrot_core.x"] == "ours"
    assert "UserWarning: of Python" in told["py.warnings"]


def test_what_a_console_prints_becomes_records_where_machines_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PARROT_LOG_FORMAT", LogFormat.JSON)
    assert as_json()
    with caplog.at_level("INFO", "parrot"):
        for_people().print("Prefect UI: [link=http://x]http://x[/link]\n\nand more")
        for_people(quiet=True).print("nothing")
    assert caplog.messages == ["Prefect UI: http://x", "and more"]
