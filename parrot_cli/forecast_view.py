"""Money and time in the terminal: what a recipe will take, and what each shard has cost."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from parrot_core.analysis.forecast.requests import Forecast, StageForecast
from parrot_core.monitor import RunState
from parrot_core.stages.fitness import MOST_TRUNCATED
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count, dollars, plural, short_count

_WORDS = {
    "first_query": "tokens of an opening query",
    "follow_up": "tokens of a follow-up query",
    "answer": "tokens of an answer",
    "goes_on": "a session goes on after a turn",
    "truncated": "sessions with a text cut at max_tokens",
    "kept": "sessions kept by the filter",
    "cues": "follow-ups with a cue",
    "confirmed": "cues that the judge confirms",
    "api_speed": "tokens a second of a request to an API",
    "own_speed": "tokens a second of a request to vLLM",
    "session_turns": "turns of a ShareGPT session",
    "gpu_peak": "TFLOP/s of a GPU at its peak",
    "gpu_used": "share of the peak that training reaches",
    "gpu_memory": "GB of a GPU",
    "gpu_reserve": "GB of a GPU that no tensor has",
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
    trainings = (_trainings(found), "") if found.trainings else ()
    return Group(table, "", *trainings, _basis(found), "", *_verdict(found))


def cost_of(found: Forecast) -> str:
    """Dollars as far as prices are known, and whose isn't."""
    if not found.unpriced:
        return dollars(found.usd)
    unknown = f"unknown for {', '.join(found.unpriced)}"
    return f"{dollars(found.usd)} and what is {unknown}" if found.usd else f"price {unknown}"


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


def _trainings(found: Forecast) -> RenderableType:
    """What each training takes: memory of one GPU by kind, and hours of all of them."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("training", no_wrap=True)
    table.add_column("GPUs", no_wrap=True)
    names = ("examples", "tokens", "weights", "gradients", "AdamW", "copies", "activations")
    for name in (*names, "GB a GPU", "hours"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found.trainings:
        start = (each.stage, f"{each.devices} {each.strategy}", count(each.examples))
        tokens = short_count(each.tokens)
        if each.memory is None or each.total_bytes is None or each.hours is None:
            table.add_row(*start, tokens, *[""] * 5, "unknown", "unknown")
            continue
        memory = each.memory
        kinds = (memory.parameters, memory.gradients, memory.optimiser, memory.working_copies)
        fits = each.total_bytes <= found.basis.gpu_memory.value * 1e9
        total = Text(_gigabytes(each.total_bytes), "" if fits else "red")
        figures = map(_gigabytes, (*kinds, memory.activations))
        table.add_row(*start, tokens, *figures, total, _hours(each.hours))
    return table


def _gigabytes(number: float) -> str:
    return f"{number / 1e9:,.1f}"


def _basis(found: Forecast) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("this rests on")
    table.add_column("", justify="right")
    table.add_column("")
    table.add_row("seeds", count(found.seeds), "published ones, else seeds.limit")
    for name, figure in found.basis.figures():
        value = f"{figure.value:,.0f}" if figure.value >= 10 else f"{figure.value:.3g}"
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
    if found.basis.truncated.value > MOST_TRUNCATED:
        text = "raise synthesize.answer.max_tokens or ask.max_tokens, or let models write less."
        lines.append(Text(f"Many sessions end at a text that is cut: {text}", "yellow"))
    lines += _trainings_verdict(found)
    waits = plural(sum(stage.hours is None for stage in found.stages), "stage")
    lines.append(Text(f"Hours of engines leave out the {waits} that ask none."))
    return lines


def _trainings_verdict(found: Forecast) -> list[Text]:
    lines = []
    limit = found.basis.gpu_memory.value
    large = [t for t in found.trainings if t.total_bytes and t.total_bytes > limit * 1e9]
    if large:
        names = ", ".join(each.stage for each in large)
        advice = "lower per_device_batch_size or max_length, set gradient_checkpointing, or shard"
        lines.append(Text(f"{names} won't fit into {limit:,.0f} GB: {advice}.", "yellow"))
    unknown = [each.model for each in found.trainings if each.memory is None]
    if unknown:
        names = ", ".join(dict.fromkeys(unknown))
        text = f"The shape of {names} isn't known on this machine: `parrot fetch` gets it."
        lines.append(Text(one_line(text, 200), "yellow"))
    return lines


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 0.05 else "<0.1"
