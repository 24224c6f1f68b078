"""The state of a run for the terminal: its stages, what failed and why, what it took.

Messages of engines and providers are hostile text: they are sanitised and never read as markup.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from parrot_cli.tables import Column, FittedTable, by_clauses, figures
from parrot_core.monitor import RunState, StageState
from parrot_core.monitor.costs import cost_of, cost_of_budget, cost_of_run
from parrot_core.monitor.stage_facts import training_facts
from parrot_core.monitor.state import status_words
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import (
    count,
    duration,
    figure,
    plural,
    rate,
    short_count,
)

BAR = 12
"""Columns of a stage's bar."""
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


@dataclass(frozen=True, slots=True)
class StageLines:
    """One line a stage with its bar; what doesn't fit beside it stands below, whole."""

    state: RunState

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [(stage, self._cells(stage)) for stage in self.state.stages]
        widths = [max(cells[place].cell_len for _, cells in rows) for place in range(6)]
        if sum(widths) + len(widths) > options.max_width:
            widths[2] = 0  # the bar says nothing that the figures don't
        for stage, cells in rows:
            line = Text()
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
                if width:
                    cell.align("left" if place < 3 else "right", width)
                    line.append_text(cell).append(" ")
            remark = remark_of(self.state, stage)
            style = "red" if stage.failed or stage.failure is not None else "dim"
            if line.cell_len + len(remark) <= options.max_width:
                yield line.append(remark, style)
                continue
            line.rstrip()
            yield line
            yield Padding(by_clauses(Text(remark, style), options.max_width - 4), (0, 0, 0, 4))

    def _cells(self, stage: StageState) -> list[Text]:
        mark, style = _MARKS[stage.status]
        return [
            Text(mark, style),
            Text(stage.name, "bold" if stage.status == "running" else ""),
            _bar(stage),
            Text(amount_of(stage)),
            Text(speed_of(stage), "dim"),
            Text(time_of(stage), "dim"),
        ]


def _bar(stage: StageState) -> Text:
    percent = 0.0 if stage.status in ("waiting", "starting", "skipped") else stage.percent or 0.0
    filled = round(BAR * percent / 100)
    style = "green" if percent >= 100 else "cyan"
    return Text.assemble(("━" * filled, style), ("━" * (BAR - filled), "bright_black"))


def render_runs(states: Sequence[RunState]) -> RenderableType:
    names = ("run", "state", "stages done", "begun", "cost")
    table = FittedTable([Column(name) for name in names])
    for state in states:
        wanted = [stage for stage in state.stages if stage.status != "skipped"]
        finished = sum(stage.status in ("done", "pinned") for stage in wanted)
        begun = state.header.created_at
        table.add(
            *(state.name, state.status_text, f"{finished}/{len(wanted)}"),
            *(f"{begun:%Y-%m-%d %H:%M}" if begun else "", cost_of_run(state)),
        )
    return table


def render_shards(state: RunState) -> RenderableType:
    """Every shard that was begun: how far it is, what it took and cost."""
    names = figures("done", "requests", "tokens", "dollars", "tries")
    table = FittedTable([Column("shard"), Column("state"), *names, Column("worker")])
    for stage in state.stages:
        for shard in stage.shards:
            if shard.status == "waiting":
                continue
            used = shard.usage.values()
            table.add(
                *(f"{stage.name} {shard.index}", shard.status),
                f"{count(shard.done)}/{count(shard.total)}" if shard.total else count(shard.done),
                count(sum(each.requests for each in used)),
                count(sum(each.tokens for each in used)),
                cost_of(shard.usage.items(), state.header.recipe),
                count(shard.attempts),
                one_line(shard.worker, 60),
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
        f" · {duration(state.seconds)} · {count(state.tokens)} tokens · {cost_of_budget(state)}",
    )
    parts: list[RenderableType] = [head, StageLines(state), *_whole_run(state)]
    parts += [
        Text(f"{stage.name}: {one_line(stage.pause, 300)}", "yellow")
        for stage in state.stages
        if stage.pause
    ]
    parts += _failures(state)
    for stage in state.stages:
        parts += [Text(f"{stage.name}: {one_line(w, 300)}", "yellow") for w in stage.warnings]
    return Group(*parts)


def _whole_run(state: RunState) -> list[RenderableType]:
    """Why the run stands still, and what goes on with it."""
    parts: list[RenderableType] = []
    if state.header.pause:
        told = f"{state.header.pause}. `parrot resume {state.name}` lets it go on."
        parts.append(Text(one_line(told, 400), "yellow"))
    if state.header.stop:
        told = f"Stopped: {state.header.stop}. `parrot retry {state.name}` goes on."
        parts.append(Text(one_line(told, 400), "yellow"))
    if state.status == "stalled" and state.updated_at is not None:
        silent = duration(state.since(state.updated_at))
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
    return parts


def _failures(state: RunState) -> list[RenderableType]:
    """What failed and why, and the command that tries it again."""
    parts: list[RenderableType] = []
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
    return parts


def phase_of(stage: StageState) -> str:
    """Its state in words, for a line of a log."""
    if stage.status in ("done", "pinned"):
        how = f"taken from {stage.version}" if stage.status == "pinned" else "done"
        return ", ".join(filter(None, (how, amount_of(stage), time_of(stage))))
    if stage.status in FAILED:
        failed = len(stage.having("failed"))  # none where the stage as a whole did
        return f"failed ({failed} of {plural(len(stage.shards), 'shard')})" if failed else "failed"
    return status_words(stage.status)


def amount_of(stage: StageState) -> str:
    unit = stage.unit or "unit"
    if stage.status in ("done", "pinned"):
        if stage.kind == "model":
            return "trained" if stage.published else ""
        return plural(stage.rows_out, unit) if stage.published else ""
    if stage.total:
        return f"{count(stage.done)}/{count(stage.total)}"
    return count(stage.done) if stage.done else ""


def speed_of(stage: StageState) -> str:
    """Units a minute, while it works."""
    return rate(stage.rate, "") if stage.status == "running" else ""


def time_of(stage: StageState) -> str:
    if stage.status == "running" and stage.eta_s is not None:
        return f"{duration(stage.eta_s)} left"
    if stage.status == "waiting" or not stage.seconds:
        return ""
    return duration(stage.seconds)


def remark_of(state: RunState, stage: StageState) -> str:
    """What matters most about a stage of a run now, in a few words."""
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
        return one_line(stage.pause.removeprefix("paused: "), 120)
    if stage.published and stage.kind == "model":
        facts = training_facts(stage)
        before, after = facts.before.get("loss"), facts.after.get("loss")
        return f"held-out loss {figure(before)} → {figure(after)}" if after else ""
    parts = []
    if stage.status == "running":
        stalled = len(stage.having("stalled"))
        parts.append(f"{plural(stalled, 'shard')} silent" if stalled else "")
        parts.append(f"loss {figure(stage.figures['loss'])}" if "loss" in stage.figures else "")
        scored = stage.figures.get("scored")
        parts.append(f"{count(scored)} prompts scored" if scored else "")
        parts += [f"{engine}: {one_line(what, 100)}" for engine, what in stage.waiting.items()]
    parts.append(f"{count(stage.rejects)} rejected" if stage.rejects else "")
    cut = stage.truncated_share
    parts.append(f"{cut:.0%} cut at max_tokens" if cut else "")
    parts.append(f"{short_count(stage.tokens)} tokens" if stage.tokens else "")
    cost = cost_of(stage.usage.items(), state.header.recipe)
    parts.append("" if cost == "$0" else cost)
    return ", ".join(filter(None, parts))
