"""How a called flow ended."""

import pytest
from prefect.states import Cancelled, Completed, Failed

from flows.outcome import check_completed
from parrot_core.errors import RunStopped, StorageError


def test_a_completed_flow_whose_state_lost_its_result_is_completed() -> None:
    check_completed(Completed())


def test_a_failed_flow_raises_what_it_failed_with() -> None:
    with pytest.raises(StorageError, match="no room"):
        check_completed(Failed(data=StorageError("no room")))


def test_a_cancelled_flow_is_a_stopped_run() -> None:
    with pytest.raises(RunStopped, match="cancelled in Prefect"):
        check_completed(Cancelled(message="cancelled in Prefect"))
