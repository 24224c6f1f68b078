"""Run a recipe from the command line: checks first, then a Prefect server, then the flow."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from flows import logs
from flows.server_outage import PATIENCE
from parrot_cli import prefect_server as server
from parrot_core.engines.connection import api_key, check_reachable
from parrot_core.engines.limits.prices import check_prices
from parrot_core.errors import ParrotError, RunStopped, UserError
from parrot_core.execution.runs import ask_for, begin_run, is_published
from parrot_core.lake.pauses import Pauses
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import report_file
from parrot_core.monitor.state import StageSpec
from parrot_core.recipe import OpenAIEngine, Recipe
from parrot_core.stages.registry import STAGES, stages_until
from parrot_core.telemetry.stop_request import stop_request
from parrot_core.telemetry.tracing import start_tracing


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is done, and where its report is."""

    run: Run
    report: str


def chosen_shards(chosen: Sequence[str]) -> tuple[str | None, tuple[int, ...]]:
    """The stage and the shards that ``STAGE:N`` or ``STAGE`` name; no shards are all of them.

    Raises:
        UserError: no such stage, not a number, or shards of more than one stage.
    """
    stages = {stage.name for stage in STAGES}
    named = [each.partition(":") for each in chosen]
    for text, (stage, colon, number) in zip(chosen, named, strict=True):
        if stage not in stages or (colon and not number.isdecimal()):
            have = ", ".join(sorted(stages))
            raise UserError(f"--shard {text}: expected STAGE or STAGE:NUMBER, a stage of {have}")
    if len({stage for stage, _, _ in named}) > 1:
        raise UserError("--shard: shards of one stage at a time")
    if not named:
        return None, ()
    return named[0][0], tuple(sorted({int(number) for _, colon, number in named if colon}))


def run_recipe(
    recipe: Recipe,
    name: str | None,
    until: str | None,
    quiet: bool,
    only: Sequence[int] = (),
) -> Finished:
    """Run what is missing of a recipe, showing progress, and return when it is done.

    With ``only``, of the stage ``until`` only these shards.

    Raises:
        UserError: something the caller must mend before any work is begun.
        ParrotError: the run failed; what is done is kept.
    """
    wanted = stages_until(until)
    console = logs.for_people(quiet)
    run = begin_run(recipe, name)
    Pauses(run.lake.storage, run.name).refuse()
    missing = [stage for stage in wanted if not is_published(run, stage)]
    if not missing:
        ask_for(run, wanted if until else None)
        console.print(
            f"Run '{run.name}' is complete: all {len(wanted)} stages are published, nothing to do."
        )
        return Finished(run, run.lake.storage.show(report_file(run.name)))
    needed = {engine for stage in missing for engine in stage.engines(run)}
    check_apis(recipe, sorted(needed))
    use_prefect(console)
    start_tracing(recipe.traces)  # before the flow's own span
    return Finished(run, _run_flow(run, until, quiet, only))


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
        "`parrot server stop` ends it)"
    )


def _run_flow(run: Run, until: str | None, quiet: bool, only: Sequence[int]) -> str:
    from flows.regenerate import regenerate  # Prefect reads its settings when it is imported
    from parrot_cli.run_view import LiveProgress

    specs = tuple(StageSpec(stage.name, stage.output, stage.kind) for stage in STAGES)
    with LiveProgress(run.lake, run.name, specs, quiet=quiet):
        shards = list(only) or None
        state = regenerate(run.recipe, run.name, until, shards, return_state=True)
    if state.is_cancelled():
        stop_request().check()
        raise RunStopped(str(state.message))
    result = state.result(raise_on_failure=False)
    if isinstance(result, str):
        return result
    if isinstance(result, ParrotError):
        raise result
    if isinstance(result, BaseException):
        raise result
    raise ParrotError(f"the flow ended as {state.name}: {state.message}")
