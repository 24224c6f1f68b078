"""What tests of flows and commands outside a flow run need."""

import sys
from collections.abc import Callable
from pathlib import Path

import prefect
import pytest

from flows import stages
from flows.cli import main
from tests.run_log import RunLog


class Outcome:
    """What a call of the command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err.strip()


@pytest.fixture
def run_log(monkeypatch: pytest.MonkeyPatch) -> RunLog:
    """What the run's logger is told."""
    kept = RunLog()
    monkeypatch.setattr(prefect, "get_run_logger", lambda: kept)
    monkeypatch.setattr(stages, "get_run_logger", lambda: kept)
    return kept


@pytest.fixture
def parrot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """The ``parrot`` command, in this process and in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARROT_LAKE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["parrot", *arguments])
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
