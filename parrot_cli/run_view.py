"""A run in the terminal: live progress while it goes, its state at any time.

Messages of engines and providers are hostile text: they are sanitised and never read as markup.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from parrot_cli.summary import render_summary, render_version
from parrot_core.analysis.results.findings import training_facts
from parrot_core.errors import ParrotError
from parrot_core.monitor import RunReader, RunState, StageSpec, StageState
from parrot_core.monitor.reader import LakeState
from parrot_core.monitor.state import status_words
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import (
    count,
    dollars,
    duration,
    figure,
    plural,
    rate,
    short_count,
)

__all__ = ["LiveProgress", "render_live", "render_status", "render_summary", "render_version"]

POLL_EVERY_S = 1.0
PLAIN_EVERY_S = 10.0
"""Shortest time between two lines of mere progress where there is no terminal."""

WIDEST = 116

_MARKS = {
    "waiting": ("·", "dim"),
    "starting": ("▷", "cyan"),
    "running": ("▶", "cyan"),
    "stalled": ("?", "yellow"),
    "paused": ("‖", "yellow"),
    "budget_reached": ("$", "yellow"),
    "partially_failed": ("✗", "red"),
    "failed": ("✗", "red"),
    "cancelled": ("■", "yellow"),
    "done": ("✓", "green"),
    "pinned": ("✓", "green dim"),
    "skipped": ("–", "dim"),
}


_STYLES = {status: style for status, (_, style) in _MARKS.items()}
FAILED = ("failed", "partially_failed")


def utc_now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class LiveProgress:
    """Shows a run while the body of the ``with`` statement works on it.

    The lake is polled from a thread, so that whatever does the work knows nothing of it. In a
    terminal every stage has a live bar; elsewhere each change of a stage is one line, and
    progress in between at most one line every ten seconds.
    """

    def __init__(
        self,
        lake: LakeState,
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
        self._console = console or Console()
        self._now = now
        self._poll_every_s = poll_every_s
        self._plain = PlainProgress(self._console)
        self._live: Live | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="parrot-terminal", daemon=True)

    def __enter__(self) -> "LiveProgress":
        """Begin to poll and to show."""
        if not self._quiet:
            if self._console.is_terminal:
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Show the last state and give the terminal back."""
        if self._quiet:
            return
        self._stop.set()
        self._thread.join()
        self._show()
        if self._live is not None:
            self._live.stop()

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._show()
            self._stop.wait(self._poll_every_s)

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
            self._live.update(render_live(state), refresh=True)
        else:
            self._plain.show(state, now)


class PlainProgress:
    """Progress as lines: for logs, CI and pipes."""

    def __init__(self, console: Console) -> None:
        """Nothing has been said yet."""
        self._console = console
        self._said: dict[str, str] = {}
        self._last: datetime | None = None

    def show(self, state: RunState, now: datetime) -> None:
        """Print what changed since the last call, if anything did."""
        for stage in state.stages:
            told = _phase(stage)
            if stage.status == "skipped" or told == self._said.get(stage.name, "waiting"):
                continue
            self._said[stage.name] = told
            self._line(f"{stage.name}: {told}", _remark(stage), now)
        due = self._last is None or (now - self._last).total_seconds() >= PLAIN_EVERY_S
        busy = [stage for stage in state.stages if stage.status == "running"]
        running = [stage for stage in busy if stage.done or stage.waiting]
        if due and running:
            stage = running[-1]
            parts = (_amount(stage), _speed(stage), _time(stage), _remark(stage))
            self._line(f"{stage.name}: ", ", ".join(filter(None, parts)), now, join="")

    def trouble(self, message: str, now: datetime) -> None:
        """Say, not more often than progress, that the lake can't be read."""
        if self._last is None or (now - self._last).total_seconds() >= PLAIN_EVERY_S:
            self._line("progress can't be read", one_line(message), now, join=": ")

    def _line(self, what: str, remark: str, now: datetime, join: str = ", ") -> None:
        self._last = now
        text = f"{now:%H:%M:%S} {what}" + (f"{join}{remark}" if remark else "")
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def render_live(state: RunState) -> RenderableType:
    """One line a stage, each with its bar."""
    table = Table.grid(padding=(0, 1), expand=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, justify="right", style="dim")
    table.add_column(no_wrap=True, justify="right", style="dim")
    table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    table.columns[1].min_width = max(len(stage.name) for stage in state.stages)
    for stage in state.stages:
        mark, style = _MARKS[stage.status]
        table.add_row(
            Text(mark, style),
            Text(stage.name, "bold" if stage.status == "running" else ""),
            _bar(stage),
            Text(_amount(stage)),
            Text(_speed(stage)),
            Text(_time(stage)),
            Text(_remark(stage), "red" if stage.failed else "dim"),
        )
    return table


def render_status(state: RunState) -> RenderableType:
    """The state of a run: its stages, what failed and why, what it took."""
    head = Text.assemble(
        (f"{state.name} ", "bold"),
        (
            state.status_text,
            _STYLES.get(state.status, "cyan"),
        ),
        (f" · {plural(state.failed, 'failed shard')}" if state.failed else "", "red"),
        f" · {duration(state.seconds)} · {count(state.tokens)} tokens · {_spent(state)}",
    )
    parts: list[RenderableType] = [head, render_live(state)]
    if state.header.pause:
        told = f"{state.header.pause}. `parrot resume {state.name}` lets it go on."
        parts.append(Text(one_line(told, 400), "yellow"))
    if state.header.stop:
        told = f"Stopped: {state.header.stop}. `parrot retry {state.name}` goes on."
        parts.append(Text(one_line(told, 400), "yellow"))
    if state.status == "stalled" and state.updated_at is not None:
        silent = duration((state.read_at - state.updated_at).total_seconds())
        parts.append(
            Text(
                f"No sign of life for {silent}. If its process is gone, running it again does "
                "only what is missing.",
                "yellow",
            )
        )
    if state.status == "done" and state.until:
        told = (
            f"It was asked for no more. `parrot retry {state.name} --rest` goes on with the rest."
        )
        parts.append(Text(told))
    parts += [
        Text(f"{stage.name}: {one_line(stage.pause, 300)}", "yellow")
        for stage in state.stages
        if stage.pause
    ]
    for stage in state.stages:
        if stage.failure is not None:
            what = f"{stage.failure.error_type}: {one_line(stage.failure.message, 300)}"
            parts.append(Text(f"{stage.name}: {what}", "red"))
        for shard in stage.having("failed"):
            if shard.last_error is not None:
                error = shard.last_error
                what = f"{error.error_type}: {one_line(error.message, 300)}"
                tries = plural(shard.attempts, "attempt")
                tries += ", in quarantine" if shard.quarantined else ""
                parts.append(Text(f"{stage.name} shard {shard.index} ({tries}): {what}", "red"))
    if any(stage.status in FAILED for stage in state.stages):
        parts.append(Text(f"`parrot retry {state.name}` runs only what failed or is missing."))
    if any(shard.quarantined for stage in state.stages for shard in stage.shards):
        parts.append(
            Text(f"Shards in quarantine need `parrot retry {state.name} --quarantined`.", "yellow")
        )
    for stage in state.stages:
        parts += [Text(f"{stage.name}: {one_line(w, 300)}", "yellow") for w in stage.warnings]
    return Group(*parts)


def _phase(stage: StageState) -> str:
    if stage.status in ("done", "pinned"):
        how = f"taken from {stage.version}" if stage.status == "pinned" else "done"
        return ", ".join(filter(None, (how, _amount(stage), _time(stage))))
    if stage.status in FAILED:
        return f"failed ({len(stage.having('failed'))} of {plural(len(stage.shards), 'shard')})"
    return status_words(stage.status)


def _spent(state: RunState) -> str:
    budget = state.header.budget_usd
    return dollars(state.usd) + (f" of ${budget:,.2f}" if budget is not None else "")


def _bar(stage: StageState) -> RenderableType:
    if stage.status in ("waiting", "starting", "skipped"):
        return ProgressBar(total=1, completed=0, width=12)
    if stage.percent is None:
        return ProgressBar(total=None, width=12, pulse=True)
    return ProgressBar(total=100, completed=stage.percent, width=12)


def _amount(stage: StageState) -> str:
    unit = stage.unit or "unit"
    if stage.status in ("done", "pinned"):
        if stage.kind == "model":
            return "trained" if stage.published else ""
        return plural(stage.rows_out, unit) if stage.published else ""
    if stage.total:
        return f"{count(stage.done)}/{count(stage.total)}"
    return count(stage.done) if stage.done else ""


def _speed(stage: StageState) -> str:
    return rate(stage.rate, "") if stage.status == "running" else ""


def _time(stage: StageState) -> str:
    if stage.status == "running" and stage.eta_s is not None:
        return f"{duration(stage.eta_s)} left"
    if stage.status == "waiting" or not stage.seconds:
        return ""
    return duration(stage.seconds)


def _remark(stage: StageState) -> str:
    """What matters most about a stage now, in a few words."""
    if stage.status == "skipped":
        return "not asked for"
    if stage.status == "starting":
        return f"{one_line(stage.doing, 80)} …"
    if stage.status == "waiting":
        return ""
    failed = stage.having("failed")
    if failed and failed[-1].last_error is not None:
        error = failed[-1].last_error
        return f"shard {failed[-1].index}: {error.error_type}: {one_line(error.message)}"
    if stage.failure is not None:
        return f"{stage.failure.error_type}: {one_line(stage.failure.message)}"
    if stage.pause:
        return one_line(stage.pause, 120)
    if stage.published and stage.kind == "model":
        facts = training_facts(stage)
        before, after = facts.before.get("loss"), facts.after.get("loss")
        return f"held-out loss {figure(before)} → {figure(after)}" if after else ""
    parts = []
    if stage.status == "running":
        stalled = len(stage.having("stalled"))
        parts.append(f"{plural(stalled, 'shard')} silent" if stalled else "")
        parts.append(f"loss {figure(stage.figures['loss'])}" if "loss" in stage.figures else "")
        parts += [f"{engine}: {one_line(what, 100)}" for engine, what in stage.waiting.items()]
    parts.append(f"{count(stage.rejects)} rejected" if stage.rejects else "")
    cut = stage.truncated_share
    parts.append(f"{cut:.0%} cut at max_tokens" if cut else "")
    parts.append(f"{short_count(stage.tokens)} tokens" if stage.tokens else "")
    parts.append(dollars(stage.usd) if stage.usd else "")
    return ", ".join(filter(None, parts))
