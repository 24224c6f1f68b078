"""Money and time in the terminal: what a recipe will take, and what each shard has cost."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from parrot_core.evaluation.wording import count, dollars, plural, short_count
from parrot_core.forecast import Forecast, StageForecast
from parrot_core.monitor import RunState
from parrot_core.monitor.inert import one_line

_WORDS = {
    "first_query": "tokens of an opening query",
    "follow_up": "tokens of a follow-up query",
    "answer": "tokens of an answer",
    "goes_on": "a session goes on after a turn",
    "kept": "sessions kept by the filter",
    "cues": "follow-ups with a cue",
    "confirmed": "cues that the judge confirms",
    "api_speed": "tokens a second of a request to an API",
    "own_speed": "tokens a second of a request to vLLM",
}


def render_forecast(found: Forecast) -> RenderableType:
    """A table of what is expected, what it rests on, and whether the budget suffices."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("stage", "engine"):
        table.add_column(name, no_wrap=True)
    for name in ("requests", "prompt", "written", "dollars", "hours"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("bound by", overflow="fold")
    for stage in found.stages:
        _rows(table, stage)
    totals = found.to_json()["totals"]
    table.add_row(
        *("", "all", count(totals["requests"]), short_count(totals["prompt_tokens"])),
        *(short_count(totals["completion_tokens"]), dollars(found.usd), _hours(totals["hours"])),
        style="bold",
    )
    return Group(table, "", _basis(found), "", *_verdict(found))


def render_shards(state: RunState) -> RenderableType:
    """Every shard that was begun: how far it is, what it took and cost."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("shard", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("done", "requests", "tokens", "dollars", "tries"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("worker")
    for stage in state.stages:
        for shard in stage.shards:
            if shard.status == "waiting":
                continue
            used = shard.usage.values()
            table.add_row(
                *(f"{stage.name} {shard.index}", shard.status),
                f"{count(shard.done)}/{count(shard.total)}" if shard.total else count(shard.done),
                count(sum(each.requests for each in used)),
                count(sum(each.tokens for each in used)),
                dollars(sum(each.usd for each in used)),
                count(shard.attempts),
                Text(one_line(shard.worker, 60)),
            )
    return table


def _rows(table: Table, stage: StageForecast) -> None:
    if stage.state != "to do":
        table.add_row(stage.stage, stage.state, style="dim")
    elif not stage.loads:
        table.add_row(stage.stage, "asks no engine", style="dim")
    for place, load in enumerate(stage.loads):
        table.add_row(
            "" if place else stage.stage,
            Text(one_line(f"{load.engine} ({load.model})", 44)),
            *(count(load.requests), short_count(load.prompt_tokens)),
            short_count(load.completion_tokens),
            "unknown" if load.usd is None else dollars(load.usd),
            *(_hours(load.hours), load.bound),
        )
    if len(stage.loads) > 1 and stage.hours is not None:
        table.add_row("", "together", "", "", "", "", _hours(stage.hours), "", style="dim")


def _basis(found: Forecast) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("this rests on")
    table.add_column("", justify="right")
    table.add_column("")
    table.add_row("seeds", count(found.seeds), "published ones, else seeds.limit")
    for name, figure in found.basis.figures():
        value = f"{figure.value:.3f}" if figure.value < 1 else f"{figure.value:,.0f}"
        table.add_row(_WORDS[name], value, one_line(figure.source, 100))
    return table


def _verdict(found: Forecast) -> list[Text]:
    lines = []
    if found.unpriced:
        names = ", ".join(found.unpriced)
        lines.append(Text(f"No price is known for {names}: set engines.NAME.price.", "yellow"))
    if found.budget_usd is not None:
        enough = found.usd <= found.budget_usd
        what = "suffices" if enough else "is reached before the end; the run pauses there"
        text = f"budget_usd {dollars(found.budget_usd)} {what}."
        lines.append(Text(text, "green" if enough else "yellow"))
    elif found.usd:
        lines.append(Text("There is no budget_usd: nothing stops this run at a cost.", "yellow"))
    waits = plural(sum(stage.hours is None for stage in found.stages), "stage")
    lines.append(Text(f"Hours leave out the {waits} that ask no engine (trainings above all)."))
    return lines


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 0.05 else "<0.1"
