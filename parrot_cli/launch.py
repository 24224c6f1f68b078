"""Run a recipe from the command line: checks first, then a Prefect server, then the flow."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from rich.console import Console

from flows import logs
from flows.server_outage import PATIENCE
from parrot_cli import prefect_server as server
from parrot_core.analysis.forecast.requests import Forecast, forecast
from parrot_core.engines.access import api_key, check_reachable
from parrot_core.engines.limits.prices import check_prices
from parrot_core.errors import MissingRun, UserError
from parrot_core.execution.ray_cluster import check_address
from parrot_core.execution.runs import ask_for, begin_run, is_published, open_run
from parrot_core.execution.selection import (
    check_selection,
    checked_stage,
    run_to_be,
    selected,
)
from parrot_core.lake.pauses import Pauses
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import report_file
from parrot_core.recipe import OpenAIEngine, Recipe
from parrot_core.stages.base import Stage
from parrot_core.stages.forecasting import Basis
from parrot_core.stages.registry import STAGE_SPECS, STAGES
from parrot_core.telemetry.tracing import start_tracing
from parrot_core.text.wording import count, plural, short_count, spent


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is done, and where its report is."""

    run: Run
    report: str


@dataclass(frozen=True, slots=True)
class StageChoice:
    """What the command line says of the stages that are wanted."""

    only: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None
    shards: tuple[int, ...] = ()
    """Of the one stage of ``only``; all that are missing when empty."""


def chosen_shards(chosen: Sequence[str]) -> tuple[str | None, tuple[int, ...]]:
    """The stage and the shards that ``STAGE:N`` or ``STAGE`` name; no shards are all of them.

    Raises:
        UserError: no such stage, not a number, or shards of more than one stage.
    """
    named = [each.partition(":") for each in chosen]
    for text, (stage, colon, number) in zip(chosen, named, strict=True):
        checked_stage(f"--shard {text}", stage)
        if colon and not number.isdecimal():
            raise UserError(f"--shard {text}: expected STAGE or STAGE:NUMBER")
    if len({stage for stage, _, _ in named}) > 1:
        raise UserError("--shard: shards of one stage at a time")
    if not named:
        return None, ()
    return named[0][0], tuple(sorted({int(number) for _, colon, number in named if colon}))


def run_recipe(
    recipe: Recipe,
    name: str | None,
    choice: StageChoice,
    quiet: bool,
) -> Finished:
    """Run what is missing of the chosen stages, showing progress, and return when it is done.

    What will run, and what it will cost, is said before it does.

    Raises:
        UserError: something the caller must mend before any work is begun.
        ParrotError: the run failed; what is done is kept.
    """
    console = logs.for_people(quiet)
    to_be = run_to_be(recipe, name)
    wanted = selected(to_be, choice.only, choice.first, choice.last)
    check_selection(to_be, wanted)
    Pauses(to_be.lake.storage, to_be.name).refuse()
    with suppress(MissingRun):
        to_be = replace(to_be, stages=open_run(to_be.lake, to_be.name).stages)
    wanted = tuple(stage for stage in wanted if to_be.makes(stage.name))
    missing = [stage for stage in wanted if not is_published(to_be, stage)]
    needed = sorted({engine for stage in missing for engine in stage.engines(to_be)})
    if recipe.cluster is None:
        check_apis(recipe, needed)
    elif missing:  # the nodes have the keys, and reach the addresses
        check_prices(recipe, needed)
        check_address(recipe.cluster.address)
    expected = forecast(to_be, Basis(), missing)
    run = begin_run(recipe, name)  # now that nothing is seen that stands in its way
    if not missing:
        if not choice.shards:
            ask_for(run, None if len(wanted) == len(STAGES) else wanted)
        all_of = "all" if len(wanted) == len(STAGES) else "what was asked for, all"
        console.print(
            f"Run '{run.name}' is complete: {all_of} {plural(len(wanted), 'stage')}, "
            "is published; nothing to do."
        )
        return Finished(run, run.lake.storage.show(report_file(run.name)))
    _announce(console, run, missing, expected)
    use_prefect(console)
    start_tracing(recipe.traces)  # before the flow's own span
    return Finished(run, _run_flow(run, wanted, choice.shards, quiet))


def _announce(console: Console, run: Run, missing: Sequence[Stage], expected: Forecast) -> None:
    """Say what will run and what it will ask of engines; ``parrot plan`` says on what it rests."""
    names = ", ".join(stage.name for stage in missing)
    console.print(f"To do in run '{run.name}': {names}.", markup=False, soft_wrap=True)
    if not expected.loads:
        return
    tokens = sum(load.prompt_tokens + load.completion_tokens for load in expected.loads)
    requests = sum(load.requests for load in expected.loads)
    cost = spent(expected.usd, expected.unpriced)
    console.print(
        f"About {count(requests)} requests, {short_count(tokens)} tokens, {cost} "
        "(`parrot plan` says on what that rests).",
        markup=False,
        soft_wrap=True,
    )


def check_apis(recipe: Recipe, names: list[str]) -> None:
    """Find a missing key, price or address now, not after hours of training."""
    check_prices(recipe, names)
    apis = [
        (name, settings)
        for name in names
        if isinstance(settings := recipe.engines[name], OpenAIEngine)
    ]
    for name, settings in apis:
        api_key(name, settings)
    for name, settings in apis:
        check_reachable(name, settings)


def use_prefect(console: Console) -> None:
    """Point Prefect at the server of ``PREFECT_API_URL``, or at one of our own."""
    # What fails is shown by us, in one line; tracebacks are in the lake and in the UI.
    if not logs.as_json():
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    for name, value in logs.RUN_LOGS_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.update({**PATIENCE, **os.environ})
    if os.environ.get("PREFECT_API_URL"):
        console.print(f"Prefect server: {os.environ['PREFECT_API_URL']} (from PREFECT_API_URL)")
        return
    with console.status("Starting a local Prefect server …"):
        local = server.ensure()
    os.environ.update(server.environment(local))
    console.print(
        f"Prefect UI: [link]{local.ui_url}[/link] (stays up after the run; "
        "`parrot server stop` ends it)",
        soft_wrap=True,
    )


def _run_flow(run: Run, wanted: Sequence[Stage], shards: Sequence[int], quiet: bool) -> str:
    from prefect import tags  # Prefect reads its settings when it is imported

    from flows.lost_runs import process_tag
    from flows.outcome import check_completed, ended
    from flows.regenerate import regenerate
    from parrot_cli.run_view import LiveProgress

    shown = LiveProgress(run.lake, run.name, STAGE_SPECS, quiet=quiet)
    with server.kept_up(), tags(process_tag()), shown:
        state = ended(
            lambda: regenerate(
                run.recipe,
                run.name,
                only=[stage.name for stage in wanted],
                shards=list(shards) or None,
                return_state=True,
            )
        )
    check_completed(state)
    return run.lake.storage.show(report_file(run.name))
