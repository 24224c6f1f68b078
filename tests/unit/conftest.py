"""What holds for all unit tests."""

import sys
from collections.abc import Callable
from pathlib import Path

import prefect.main  # noqa: F401 - before absl, see below
import pytest

from parrot_cli.main import main
from parrot_core.execution import shard_work

# Prefect closes all log handlers when its flows are first imported; absl's, which comes with
# rouge-score, then closes the standard error that pytest has put in place.


@pytest.fixture(autouse=True)
def _journals_wait_for_no_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal writes an answer at once, instead of waiting for others to write with it."""
    monkeypatch.setattr(shard_work, "LOCAL_JOURNAL_SPACING_S", 0.001)


class Outcome:
    """What a call of the command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err.strip()


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
