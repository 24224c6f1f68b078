"""Money and time in the terminal: what a recipe will take, and what each shard has cost."""

from rich.console import Group, RenderableType
from rich.text import Text

from parrot_cli.tables import Column, FittedTable, figures
from parrot_core.analysis.forecast.requests import Forecast, StageForecast
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

_OF_TRAININGS = ("session_turns", "gpu_peak", "gpu_used", "gpu_memory", "gpu_reserve")


def render_forecast(found: Forecast) -> RenderableType:
    """A table of what is expected, what it rests on, and whether the budget suffices."""
    names = figures("requests", "prompt", "written", "dollars", "hours")
    table = FittedTable([Column("stage"), Column("engine"), *names, Column("bound by")])
    for stage in found.stages:
        _rows(table, stage)
    totals = found.to_json()["totals"]
    cost = dollars(found.usd) if found.usd or not found.unpriced else "unknown"
    table.add(
        *("all", "", count(totals["requests"]), short_count(totals["prompt_tokens"])),
        *(short_count(totals["completion_tokens"]), cost, _hours(totals["hours"])),
        style="bold",
    )
    trainings = (_trainings(found), "") if found.trainings else ()
    return Group(table, "", *trainings, _basis(found), "", *_verdict(found))


def _rows(table: FittedTable, stage: StageForecast) -> None:
    if stage.state != "to do":
        table.add(stage.stage, stage.state, style="dim")
    elif not stage.loads:
        table.add(stage.stage, "asks no engine", style="dim")
    for place, load in enumerate(stage.loads):
        table.add(
            "" if place else stage.stage,
            one_line(f"{load.engine} ({load.model})", 200),
            *(count(load.requests), short_count(load.prompt_tokens)),
            short_count(load.completion_tokens),
            "unknown" if load.usd is None else dollars(load.usd),
            *(_hours(load.hours), load.bound),
        )
    if len(stage.loads) > 1 and stage.hours is not None:
        table.add("", "together", "", "", "", "", _hours(stage.hours), style="dim")


def _trainings(found: Forecast) -> RenderableType:
    """What each training takes: memory of one GPU by kind, and hours of all of them."""
    names = ("examples", "tokens", "weights", "gradients", "AdamW", "copies", "activations")
    more = figures(*names, "GB a GPU", "hours")
    table = FittedTable([Column("training"), Column("GPUs"), *more])
    for each in found.trainings:
        start = (each.stage, f"{each.devices} {each.strategy}", count(each.examples))
        tokens = short_count(each.tokens)
        if each.memory is None or each.total_bytes is None or each.hours is None:
            table.add(*start, tokens, *[""] * 5, "unknown", "unknown")
            continue
        memory = each.memory
        kinds = (memory.parameters, memory.gradients, memory.optimiser, memory.working_copies)
        fits = each.total_bytes <= found.basis.gpu_memory.value * 1e9
        total = Text(_gigabytes(each.total_bytes), "" if fits else "red")
        memories = map(_gigabytes, (*kinds, memory.activations))
        table.add(*start, tokens, *memories, total, _hours(each.hours))
    return table


def _gigabytes(number: float) -> str:
    return f"{number / 1e9:,.1f}"


def _basis(found: Forecast) -> RenderableType:
    table = FittedTable([Column("this rests on"), *figures("value"), Column("source", prose=True)])
    table.add("seeds", count(found.seeds), "published ones, else seeds.limit or fewer sessions")
    for name, figure in found.basis.figures():
        if name in _OF_TRAININGS and not found.trainings:
            continue
        value = f"{figure.value:,.0f}" if figure.value >= 10 else f"{figure.value:.3g}"
        table.add(_WORDS[name], value, one_line(figure.source, 100))
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
    others = sum(stage.hours is None for stage in found.stages)
    if others:
        ask = "asks" if others == 1 else "ask"
        lines.append(
            Text(f"Hours of engines leave out the {plural(others, 'stage')} that {ask} none.")
        )
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
