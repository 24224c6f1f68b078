"""How a called flow ended, from its Prefect state."""

from collections.abc import Callable
from typing import Any

from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound

from parrot_core.errors import RunStopped
from parrot_core.telemetry.stop_request import stop_request


def ended(call: Callable[[], State[Any]]) -> State[Any]:
    """The state that a flow ends in.

    Raises:
        RunStopped: it was deleted in Prefect meanwhile, whose server can't be told of its end.
    """
    try:
        return call()
    except ObjectNotFound:
        stop_request().check()
        raise


def check_completed(state: State[Any]) -> None:
    """Raise what a flow failed with; nothing if it completed.

    The result of a completed flow is not asked for: a server that is told twice of one end (a
    request that was sent again) answers with a state that has lost it.

    Raises:
        RunStopped: this process is to stop, or the flow run was cancelled.
    """
    if state.is_cancelled():
        stop_request().check()
        raise RunStopped(str(state.message))
    if not state.is_completed():
        state.result()
