"""How a flow run is stopped: by a signal, or because Prefect says that it is cancelled or gone."""

import os
import select
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from types import FrameType
from uuid import UUID

from flows.server_outage import tried
from parrot_core.errors import RunStopped
from parrot_core.telemetry.stop_request import stop_request

HARD_STOP_S = 13.0
"""A process that was asked to stop is gone after so long, whatever hangs."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ON_POOLS = "PREFECT__FLOW_RUN_ID"
"""Set where Prefect has started the process: its own handler tells a cancellation from a crash."""


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Let SIGINT and SIGTERM ask this process to stop; a second one ends it at once.

    Nested uses are one. Where Prefect started the process its own handlers stay.
    """
    if threading.current_thread() is not threading.main_thread() or os.environ.get(ON_POOLS):
        yield
        return
    _pipe()
    before = {number: signal.signal(number, _on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@cache
def _pipe() -> int:
    """Where a handler leaves a signal's number, and a thread that acts on it.

    A handler runs between two steps of the main thread, which may hold any lock then: it may set no
    event and start no thread itself.
    """
    ours, theirs = os.pipe()
    threading.Thread(target=_act, args=(ours,), name="parrot-stop", daemon=True).start()
    return theirs


def _on_signal(number: int, _: FrameType | None) -> None:
    os.write(_pipe(), bytes([number]))


def _act(pipe: int) -> None:
    while True:
        number = os.read(pipe, 1)[0]
        name = signal.Signals(number).name
        message = f"stopped by {name}; the same command goes on where it stopped"
        stop_request().ask(RunStopped(message, 128 + number))
        _say("stopping: keeping what is in flight, press again to stop at once")
        again, _, _ = select.select([pipe], [], [], HARD_STOP_S)
        if not again:
            _say("stopping took too long: ended; what was in flight is not kept")
        os._exit(128 + number)


def _say(what: str) -> None:
    """Tell the user, who may have closed the terminal, or read nothing of it."""

    def write() -> None:
        with suppress(OSError):
            os.write(2, f"\n{what}\n".encode())

    saying = threading.Thread(target=write, daemon=True)
    saying.start()
    saying.join(1.0)


def flow_runs_here() -> tuple[UUID, ...]:
    """The flow run that we are in, and the one that it is a part of; none outside of Prefect."""
    from prefect.runtime import flow_run

    above = tried(lambda: flow_run.parent_flow_run_id, patient=False) if flow_run.id else None
    return tuple(UUID(str(each)) for each in (flow_run.id, above) if each)


def look_for_cancellation(flow_runs: Sequence[UUID]) -> None:
    """Ask the process to stop if Prefect has cancelled or deleted one of these flow runs."""
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound, PrefectException

    try:
        with get_client(sync_client=True) as client:
            states = [client.read_flow_run(each).state for each in flow_runs]
    except ObjectNotFound:
        stop_request().ask(RunStopped("its flow run was deleted in Prefect"))
        return
    except (httpx.HTTPError, PrefectException, OSError):
        return  # a server that is away cancels nothing
    if any(
        state is not None and (state.is_cancelling() or state.is_cancelled()) for state in states
    ):
        stop_request().ask(RunStopped("its flow run was cancelled in Prefect"))
