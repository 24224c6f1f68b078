"""Shows a running run in the terminal: a live line for each stage, or a line for each change.

Messages of engines and providers are hostile text: they are sanitised and never read as markup.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live

from parrot_cli.console import WideConsole
from parrot_cli.status_view import StageLines, amount_of, phase_of, remark_of, speed_of, time_of
from parrot_core.errors import ParrotError
from parrot_core.lake.lake import Lake
from parrot_core.monitor import RunReader, RunState, StageSpec
from parrot_core.telemetry.repeated_call import RepeatedCall
from parrot_core.text.sanitise import one_line

POLL_EVERY_S = 1.0
PLAIN_EVERY_S = 10.0
"""Shortest time between two lines of mere progress where there is no terminal."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class LiveProgress:
    """Shows a run while the body of the ``with`` statement works on it.

    The lake is polled from a thread, so that whatever does the work knows nothing of it. In a
    terminal every stage has a live bar; elsewhere each change of a stage is one line, and
    progress in between at most one line every ten seconds.
    """

    def __init__(
        self,
        lake: Lake,
        run: str,
        stages: Iterable[StageSpec],
        *,
        quiet: bool = False,
        console: Console | None = None,
        now: Callable[[], datetime] = utc_now,
        poll_every_s: float = POLL_EVERY_S,
    ) -> None:
        """Watch ``run``; with ``quiet`` nothing is shown and nothing polled."""
        self._reader = RunReader(lake, run, stages)
        self._quiet = quiet
        self._console = console or WideConsole()
        self._now = now
        self._plain = PlainProgress(self._console)
        self._live: Live | None = None
        self._polls = RepeatedCall("parrot-terminal", self._show, poll_every_s)

    def __enter__(self) -> "LiveProgress":
        if not self._quiet:
            if self._console.is_terminal:
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._show()
            self._polls.start()
        return self

    def __exit__(self, *raised: object) -> None:
        """Show the last state and give the terminal back."""
        if self._quiet:
            return
        self._polls.stop()
        self._show()
        if self._live is not None:
            self._live.stop()

    def _show(self) -> None:
        """Read and show once; a lake that can't be read now is tried again with the next poll."""
        now = self._now()
        try:
            state = self._reader.read(now)
        except (ParrotError, OSError) as error:
            if self._live is None:
                self._plain.trouble(str(error), now)
            return
        if self._live is not None:
            self._live.update(StageLines(state), refresh=True)
        else:
            self._plain.show(state, now)


class PlainProgress:
    """Progress as lines: for logs, CI and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, str] = {}
        self._last: datetime | None = None

    def show(self, state: RunState, now: datetime) -> None:
        """Print what changed since the last call, if anything did."""
        for stage in state.stages:
            told = phase_of(stage)
            if stage.status == "skipped" or told == self._said.get(stage.name, "waiting"):
                continue
            self._said[stage.name] = told
            self._line(f"{stage.name}: {told}", remark_of(state, stage), now)
        due = self._last is None or (now - self._last).total_seconds() >= PLAIN_EVERY_S
        busy = [stage for stage in state.stages if stage.status == "running"]
        running = [stage for stage in busy if stage.done or stage.waiting]
        if due and running:
            stage = running[-1]
            parts = (amount_of(stage), speed_of(stage), time_of(stage), remark_of(state, stage))
            self._line(f"{stage.name}: ", ", ".join(filter(None, parts)), now, join="")

    def trouble(self, message: str, now: datetime) -> None:
        """Say, not more often than progress, that the lake can't be read."""
        if self._last is None or (now - self._last).total_seconds() >= PLAIN_EVERY_S:
            self._line("progress can't be read", one_line(message), now, join=": ")

    def _line(self, what: str, remark: str, now: datetime, join: str = ", ") -> None:
        self._last = now
        text = f"{now:%H:%M:%S} {what}" + (f"{join}{remark}" if remark else "")
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
