"""Run a recipe from the command line: checks first, then a Prefect server, then the flow."""

import os
from dataclasses import dataclass

from rich.console import Console

from flows import server
from parrot_core.engines.connection import api_key, check_reachable
from parrot_core.engines.prices import check_prices
from parrot_core.errors import ParrotError, UserError
from parrot_core.lake.run_records import report_file
from parrot_core.monitor.state import StageSpec
from parrot_core.pipeline import STAGES
from parrot_core.recipe import OpenAIEngine, Recipe
from parrot_core.runner import begin_run, is_published
from parrot_core.stage import Run


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is done, and where its report is."""

    run: Run
    report: str


def run_recipe(recipe: Recipe, name: str | None, until: str | None, quiet: bool) -> Finished:
    """Run what is missing of a recipe, showing progress, and return when it is done.

    Raises:
        UserError: something the caller must mend before any work is begun.
        ParrotError: the run failed; what is done is kept.
    """
    names = [stage.name for stage in STAGES]
    if until is not None and until not in names:
        raise UserError(f"--until: no stage '{until}'; there are: {', '.join(names)}")
    wanted = STAGES[: names.index(until) + 1] if until else STAGES
    console = Console(stderr=True, quiet=quiet)
    run = begin_run(recipe, name)
    missing = [stage for stage in wanted if not is_published(run, stage)]
    if not missing:
        console.print(
            f"Run '{run.name}' is complete: all {len(wanted)} stages are published, nothing to do."
        )
        return Finished(run, run.lake.storage.show(report_file(run.name)))
    needed = {engine for stage in missing for engine in stage.engines(run)}
    check_apis(recipe, sorted(needed))
    use_prefect(console)
    return Finished(run, _run_flow(run, until, quiet))


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
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
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


def _run_flow(run: Run, until: str | None, quiet: bool) -> str:
    from flows.regenerate import regenerate  # Prefect reads its settings when it is imported
    from flows.terminal import LiveProgress

    specs = tuple(StageSpec(stage.name, stage.output, stage.kind) for stage in STAGES)
    with LiveProgress(run.lake, run.name, specs, quiet=quiet):
        state = regenerate(run.recipe, run.name, until, return_state=True)
    result = state.result(raise_on_failure=False)
    if isinstance(result, str):
        return result
    if isinstance(result, ParrotError):
        raise result
    if isinstance(result, BaseException):
        raise result
    raise ParrotError(f"the flow ended as {state.name}: {state.message}")
