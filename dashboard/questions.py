"""What a button would run and what that may cost, in words, before anybody presses it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dashboard.actions import Work
from parrot_core.monitor import RunState, StageState
from parrot_core.monitor.costs import cost_of_budget, unpriced, usage_of
from parrot_core.monitor.failures import FailureGroup
from parrot_core.monitor.outlook import Projection, outlook, usd_of_shards
from parrot_core.text.wording import count, money, plural

Number = int | float

LIMITS = ("concurrency", "requests_per_minute", "tokens_per_minute")
MOST_WORDS = 12


@dataclass(frozen=True, slots=True)
class ActionQuestion:
    """A question that is asked before anything is run."""

    button: str
    title: str
    runs: str
    cost: str
    work: Work
    budget: float | None = None  # to propose instead of the one that holds


def retry_failed(state: RunState, stages: Sequence[StageState]) -> ActionQuestion:
    """Try all failed shards again that aren't in quarantine; of one stage, only these."""
    failed = sum(stage.failed - stage.quarantined for stage in stages)
    one = stages[0] if len(stages) == 1 else None
    shards = _failed_shards(one) if one is not None else ()
    work = Work(state.name, one.name if one else "", shards)
    where = one.name if one else ", ".join(stage.name for stage in stages)
    runs = f"{plural(failed, 'failed shard')} of {where}" + (
        "; later stages are left alone." if one else ", and whatever is missing after them."
    )
    recipe = state.header.recipe
    known = [usd_of_shards(stage, recipe, _failed_shards(stage)) for stage in stages]
    usd = None if None in known else sum(each or 0.0 for each in known)
    title = f"Retry {plural(failed, 'failed shard')} of {where}?"
    return ActionQuestion(f"Retry {failed} failed …", title, runs, _cost(state, usd), work)


def retry_group(state: RunState, group: FailureGroup) -> ActionQuestion:
    """Try the shards of one group again; those in quarantine are released first."""
    number = plural(len(group.shards), "shard") if group.shards else "what is missing"
    released = f" Out of quarantine first: {plural(len(group.quarantined), 'shard')}."
    runs = f"{number} of {group.stage}; all else is left alone."
    work = Work(state.name, group.stage, group.shards, quarantined=bool(group.quarantined))
    stage = state.stage(group.stage)
    usd = usd_of_shards(stage, state.header.recipe, group.shards) if stage else None
    verb = "Release and retry" if group.quarantined else "Retry"
    return ActionQuestion(
        f"{verb} …",
        f"{verb} {number} of {group.stage}?",
        runs + (released if group.quarantined else ""),
        _cost(state, usd),
        work,
    )


def retry_shards(state: RunState, stage: StageState, shards: Sequence[int]) -> ActionQuestion:
    """Run some shards of a stage, or all that it lacks."""
    chosen = [s for s in stage.shards if s.status != "done" and (not shards or s.index in shards)]
    number = f"shard {shards[0]}" if len(shards) == 1 else plural(len(chosen), "missing shard")
    held = any(shard.quarantined for shard in chosen) and bool(shards)
    released = "; out of quarantine first" if held else ""
    return ActionQuestion(
        f"Retry {number} …",
        f"Retry {number} of {stage.name}?",
        f"{number} of {stage.name}{released}; all else is left alone.",
        _cost(state, usd_of_shards(stage, state.header.recipe, shards)),
        Work(state.name, stage.name, tuple(shards), quarantined=held),
    )


def go_on(state: RunState, expected: Mapping[str, Projection]) -> ActionQuestion:
    """Do everything that is missing of the run, downstream stages too."""
    downstream = state.status == "done" and bool(state.until)
    missing = [s for s in state.stages if s.status not in ("done", "pinned")]
    names = ", ".join(_amount(stage) for stage in missing)
    found = outlook(_all_wanted(state) if downstream else state, expected)
    button = "Go on downstream …" if downstream else "Resume …"
    return ActionQuestion(
        button,
        f"{'Go on with' if downstream else 'Resume'} '{state.name}'?",
        f"{plural(len(missing), 'stage')}: {names}.",
        _cost(state, found.usd_left, found.unpriced),
        Work(state.name, rest=downstream),
    )


def raise_budget(state: RunState, expected: Mapping[str, Projection]) -> ActionQuestion:
    """Go on with more money: enough for what the run will come to, with some air."""
    found = outlook(state, expected)
    budget = state.header.budget_usd or 0.0
    need = 1.1 * (found.usd_total or 0.0)
    asked = go_on(state, expected)
    return replace(
        asked,
        button="Raise the budget and resume …",
        title=f"Raise the budget of '{state.name}' and resume?",
        budget=float(math.ceil(max(1.5 * budget, need, budget + 0.01) * 100) / 100),
    )


def typed(work: Work) -> str:
    """The command as a person would type it, shortened."""
    words = ["parrot", *work.words]
    more = f" … ({count(len(words) - MOST_WORDS)} more words)" if len(words) > MOST_WORDS else ""
    return " ".join(words[:MOST_WORDS]) + more


def limits_of(recipe: Mapping[str, object]) -> dict[str, Number | None]:
    """The operational limits of a recipe that a retry may change, by their dotted path."""
    found: dict[str, Number | None] = {}
    for path in ("budget_usd", "shards_at_once"):
        if path in recipe:
            found[path] = _number(recipe[path])
    engines = recipe.get("engines")
    for name, engine in engines.items() if isinstance(engines, Mapping) else ():
        limits = engine.get("limits") if isinstance(engine, Mapping) else None
        if isinstance(limits, Mapping):
            for limit in LIMITS:
                if limit in limits:
                    found[f"engines.{name}.limits.{limit}"] = _number(limits[limit])
    return found


def changes(recipe: Mapping[str, object], wanted: Mapping[str, Number | None]) -> dict[str, Number]:
    """The limits that differ from the recipe's; whole numbers stay whole."""
    before = limits_of(recipe)
    found: dict[str, Number] = {}
    for path, value in wanted.items():
        if value is not None and value != before.get(path):
            whole = path != "budget_usd" and float(value).is_integer()
            found[path] = int(value) if whole else value
    return found


def _failed_shards(stage: StageState) -> tuple[int, ...]:
    return tuple(s.index for s in stage.having("failed") if not s.quarantined)


def _amount(stage: StageState) -> str:
    left = sum(shard.status != "done" for shard in stage.shards)
    return f"{stage.name} ({plural(left, 'shard')})" if stage.shards else stage.name


def _all_wanted(state: RunState) -> RunState:
    stages = tuple(
        replace(stage, status="waiting") if stage.status == "skipped" else stage
        for stage in state.stages
    )
    return replace(state, status="waiting", stages=stages)


def _cost(state: RunState, usd: float | None, unknown: Sequence[str] = ()) -> str:
    budget = state.header.budget_usd
    spent = f"Spent so far: {cost_of_budget(state)}"
    spent += "." if budget is not None else ", without a budget."
    if usd is None or (unknown and not usd):
        nameless = ", ".join(unpriced(usage_of(state), state.header.recipe))
        why = f"price of {nameless} unknown" if nameless else "nothing of it has been finished yet"
        return f"What it costs isn't known: {why}. {spent}"
    said = f"May cost about {money(usd)} more"
    said += f", without {', '.join(unknown)}, which nobody can tell." if unknown else "."
    if budget is not None and state.usd + usd > budget:
        said += " That is more than the budget leaves: the run will stop there."
    return f"{said} {spent}"


def _number(value: object) -> Number | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
