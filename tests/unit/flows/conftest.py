"""What tests of flows outside a flow run need."""

import prefect
import pytest

from flows import stages
from tests.support.lakes.run_log import RunLog


@pytest.fixture
def run_log(monkeypatch: pytest.MonkeyPatch) -> RunLog:
    """What the run's logger is told."""
    kept = RunLog()
    monkeypatch.setattr(prefect, "get_run_logger", lambda: kept)
    monkeypatch.setattr(stages, "get_run_logger", lambda: kept)
    return kept
