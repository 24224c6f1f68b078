"""Tells Prefect's event stream what becomes of a run, for automations to act on.

Prefect sees flow runs; that a run is paused, out of money or stuck is known from the lake.
"""

from collections.abc import Callable
from datetime import datetime

from parrot_core.monitor.state import StageState

PAUSED = "parrot.run.paused"
"""An engine's provider refuses everything, or a person paused the run."""
RESUMED = "parrot.run.resumed"
STUCK = "parrot.run.stuck"
"""Nothing was finished for longer than it should take."""
BUDGET = "parrot.run.budget"
"""The run stopped before ``budget_usd``."""
PARTIAL = "parrot.run.partially-failed"

STUCK_AFTER_S = 1800.0

Emit = Callable[[str, dict[str, str]], object]
"""Sends an event: its name, and the resource that it is about with further labels."""


def emit(event: str, resource: dict[str, str]) -> object:
    """Send an event to the Prefect server that this flow runs against."""
    from prefect.events import emit_event

    return emit_event(event, resource)


def resource_of(run: str, stage: str = "", detail: str = "") -> dict[str, str]:
    """What an event is about: the run, with stage and detail as labels."""
    labels = {"parrot.stage": stage, "parrot.detail": detail[:500]}
    told = {name: value for name, value in labels.items() if value}
    return {"prefect.resource.id": f"parrot.run.{run}", "prefect.resource.name": run, **told}


class StageAnnouncer:
    """Turns a stage's state, looked at now and then, into events: one a change, not one a look."""

    def __init__(self, run: str, send: Emit = emit, stuck_after_s: float = STUCK_AFTER_S) -> None:
        self._run = run
        self._send = send
        self._stuck_after_s = stuck_after_s
        self._pause = ""
        self._done = -1
        self._moved: datetime | None = None
        self._stuck = False

    def look(self, stage: StageState, now: datetime) -> None:
        """Send what has changed since the last look."""
        pause = stage.pause or ""
        if bool(pause) != bool(self._pause):
            self._send(PAUSED if pause else RESUMED, resource_of(self._run, stage.name, pause))
        self._pause = pause
        if stage.done != self._done or pause or self._moved is None:
            self._done, self._moved, self._stuck = stage.done, now, False
        idle = (now - self._moved).total_seconds()
        if idle >= self._stuck_after_s and not self._stuck:
            self._stuck = True
            detail = f"nothing finished for {idle / 60:.0f} minutes"
            self._send(STUCK, resource_of(self._run, stage.name, detail))
