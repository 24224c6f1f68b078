"""The ``parrot`` command: run, watch, retry and read what the factory makes."""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from flows import logs
from parrot_cli import check as check_cli
from parrot_cli import control, measure, operate, prove
from parrot_cli import data as data_cli
from parrot_cli import lake as lake_cli
from parrot_cli import preview as preview_cli
from parrot_cli import reports as reports_cli
from parrot_cli.options import (
    DEFAULT_LAKE,
    AsJson,
    LakeHere,
    LakeUrl,
    Overrides,
    RecipePath,
    recipe_from,
)
from parrot_core.errors import ParrotError, StorageError, UserError
from parrot_core.lake.lake import Lake
from parrot_core.monitor import RunState
from parrot_core.recipe import overridden

app = typer.Typer(
    name="parrot",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A data factory for multi-turn dialogue: ShareGPT in, Parrot-Chat and its data out.",
)
server_app = typer.Typer(no_args_is_help=True, help="The local Prefect server that `run` starts.")
app.add_typer(server_app, name="server")

out = Console()
err = Console(stderr=True, highlight=False)

RunName = Annotated[str, typer.Argument(help="Name of a run.")]
OnlyStages = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="STAGE", help="Only this stage; may be repeated."),
]
FromStage = Annotated[
    str | None, typer.Option("--from", metavar="STAGE", help="No stage before this one.")
]
UntilStage = Annotated[
    str | None, typer.Option("--until", metavar="STAGE", help="No stage after this one.")
]


@app.callback()
def options(
    log_format: Annotated[
        logs.LogFormat,
        typer.Option(
            "--log-format",
            envvar="PARROT_LOG_FORMAT",
            help="json: one JSON object a line on standard error.",
        ),
    ] = logs.LogFormat.TEXT,
) -> None:
    """A data factory for multi-turn dialogue: ShareGPT in, Parrot-Chat and its data out."""
    logs.set_up(log_format)


@app.command()
def run(
    recipe: RecipePath,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the run. Default: the recipe's name.")
    ] = None,
    lake: LakeUrl = None,
    overrides: Overrides = None,
    only: OnlyStages = None,
    from_stage: FromStage = None,
    until: UntilStage = None,
    with_run: Annotated[
        str | None,
        typer.Option(
            "--with", metavar="RUN", help="Take what comes before the stages from this run."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the factory, or a part of it; run it again to do only what is missing."""
    from parrot_cli.launch import StageChoice, run_recipe
    from parrot_core.execution.pinning import pinned_before
    from parrot_core.execution.selection import run_to_be, selected

    loaded = recipe_from(recipe, lake, overrides)
    choice = StageChoice(tuple(only or ()), from_stage, until)
    if with_run is not None:
        if from_stage is None and not only:
            raise UserError("--with RUN needs --from STAGE or --only STAGE")
        wanted = selected(run_to_be(loaded, name), choice.only, choice.first, choice.last)
        loaded = pinned_before(loaded, wanted[0].name, with_run)
    finish = run_recipe(loaded, name, choice, quiet=as_json)
    _finish(finish.run.lake, finish.run.name, finish.report, as_json)


@app.command()
def retry(
    name: RunName,
    lake: LakeHere = DEFAULT_LAKE,
    overrides: Overrides = None,
    shards: Annotated[
        list[str] | None,
        typer.Option(
            "--shard", metavar="STAGE[:N]", help="Only this shard, or stage; may be repeated."
        ),
    ] = None,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Try shards in quarantine again, too.")
    ] = False,
    rest: Annotated[
        bool,
        typer.Option("--rest", help="Go on with the stages nobody has asked for yet, too."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the failed and missing shards of a run, with the recipe it was begun with.

    Of the stages that were asked for: --until, --from and --only of `parrot run` still hold.
    """
    from parrot_cli.launch import StageChoice, chosen_shards, run_recipe
    from parrot_core.execution.runs import open_run, release_quarantine
    from parrot_core.lake.requested_stages import RequestedStages
    from parrot_core.stages.registry import STAGES

    begun = open_run(Lake(lake), name)
    recipe = overridden(begun.recipe, (*(overrides or ()), f"lake={json.dumps(lake)}"))
    stage, indices = chosen_shards(shards or [])
    asked = RequestedStages(begun.lake.storage, name).read() or begun.stages
    choice = StageChoice(only=() if rest else tuple(asked or ()))
    if stage is not None:
        choice = StageChoice(only=(stage,), shards=indices)
    if quarantined:
        of_it = [each for each in STAGES if stage in (None, each.name)]
        for name_of, pardoned in release_quarantine(begun, of_it, indices).items():
            err.print(f"{name_of}: out of quarantine: shards {', '.join(map(str, pardoned))}")
    finish = run_recipe(recipe, name, choice, quiet=as_json)
    _finish(finish.run.lake, name, finish.report, as_json)


@app.command()
def plan(
    recipe: RecipePath,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the run. Default: the recipe's name.")
    ] = None,
    lake: LakeUrl = None,
    overrides: Overrides = None,
    only: OnlyStages = None,
    from_stage: FromStage = None,
    until: UntilStage = None,
    sample: Annotated[
        int,
        typer.Option(
            min=0, help="Measure lengths on so many rows of what the lake holds; 0 assumes them."
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate requests, tokens, dollars and hours of a recipe; nothing is spent or written."""
    from parrot_cli.forecast_view import render_forecast
    from parrot_core.analysis.forecast.basis import Basis, measured
    from parrot_core.analysis.forecast.requests import forecast
    from parrot_core.execution.selection import check_selection, run_to_be, selected

    planned = run_to_be(recipe_from(recipe, lake, overrides), name)
    wanted = selected(planned, only or (), from_stage, until)
    check_selection(planned, wanted)
    found = forecast(planned, measured(planned, sample) if sample else Basis(), wanted)
    out.print_json(data=found.to_json()) if as_json else out.print(render_forecast(found))


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="Name of a run. Default: all runs.")] = None,
    lake: LakeHere = DEFAULT_LAKE,
    shards: Annotated[bool, typer.Option("--shards", help="Each shard with its cost.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far a run is, from the lake alone; without a name, list the runs."""
    from parrot_cli.forecast_view import render_shards
    from parrot_cli.run_view import render_status
    from parrot_core.monitor.reader import list_runs, read_run

    opened = Lake(lake)
    now = datetime.now(UTC)
    if name is not None:
        state = read_run(opened, name, _specs(), now)
        if as_json:
            out.print_json(data=state.to_json())
        else:
            out.print(render_status(state), *([render_shards(state)] if shards else []))
        return
    headers = list_runs(opened)
    damaged = [f"run '{header.name}': {header.damage}" for header in headers if header.damage]
    states = [read_run(opened, h.name, _specs(), now) for h in headers if not h.damage]
    if as_json:
        out.print_json(data=[state.to_json() for state in states])
    else:
        _list_runs(states, lake)
    if damaged:
        raise StorageError("; ".join(damaged))


def _list_runs(states: Sequence[RunState], lake: str) -> None:
    table = Table("run", "state", "stages done", "begun", "cost")
    for state in states:
        wanted = [stage for stage in state.stages if stage.status != "skipped"]
        finished = sum(stage.status in ("done", "pinned") for stage in wanted)
        begun = state.header.created_at
        table.add_row(
            *(state.name, state.status_text, f"{finished}/{len(wanted)}"),
            *(f"{begun:%Y-%m-%d %H:%M}" if begun else "", f"${state.usd:.2f}"),
        )
    out.print(table if states else f"{lake} holds no run yet")


@app.command()
def validate(recipe: RecipePath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Check a recipe and print it with every default filled in."""
    from parrot_core.engines.shaping import request_lines

    loaded = recipe_from(recipe, None, overrides)
    if as_json:
        out.print_json(data=loaded.model_dump(mode="json"))
    else:
        out.print(f"{recipe}: valid. Run '{loaded.name}', fingerprint {loaded.fingerprint()[:12]}")
        for line in request_lines(loaded):
            out.print(line, markup=False, highlight=False)


@app.command()
def settings() -> None:
    """Print every setting of a recipe with its default and bounds, as Markdown."""
    from parrot_core.recipe.reference import recipe_reference

    sys.stdout.write(recipe_reference())


@app.command()
def fetch(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Get the models that a recipe starts from, so that a run doesn't wait for them."""
    from parrot_core.models.references import fetch_model, outside_models

    for reference in outside_models(recipe_from(recipe, None, overrides)):
        with err.status(f"Getting {reference} …"):
            place = fetch_model(reference)
        err.print(f"{reference} → {place}", markup=False)


@server_app.command("start")
def server_start() -> None:
    """Start the local Prefect server, or say where it is."""
    from parrot_cli import prefect_server as server

    out.print(f"Prefect: {server.ensure().ui_url}", markup=False)


@server_app.command("stop")
def server_stop() -> None:
    """Stop the local Prefect server."""
    from parrot_cli import prefect_server as server

    stopped = server.stop()
    out.print(f"stopped {stopped.ui_url}" if stopped else "no server was running", markup=False)


# What a run needs comes first in the help.
check_cli.register(app)
preview_cli.register(app)
lake_cli.register(app)
app.command("stats")(data_cli.stats)
app.command("import")(data_cli.import_)
app.command("export")(data_cli.export)
control.register(app)
operate.register(app)
measure.register(app)
prove.register(app)
app.command()(reports_cli.report)
app.command()(reports_cli.diff)


def main() -> None:
    """Entry point: one clear line for what goes wrong, never a bare traceback."""
    try:
        app(standalone_mode=True)
    except ParrotError as error:
        _tell(f"error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _tell("interrupted; run the same command again to resume")
        sys.exit(130)
    except Exception as error:
        log = Path(os.environ.get("PARROT_WORK", ".parrot/work")) / "last-error.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc())
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        _tell(f"error: {what} (a bug, most likely; traceback in {log})")
        sys.exit(1)


def _tell(what: str) -> None:
    """Say why the command ends."""
    if logs.as_json():
        logs.COMMAND.error("%s", what.removeprefix("error: "))
    else:
        err.print(what, markup=False, soft_wrap=True)


def _finish(lake: Lake, name: str, report: str, as_json: bool) -> None:
    from parrot_cli.summary import render_summary
    from parrot_core.monitor.reader import read_run

    state = read_run(lake, name, _specs(), datetime.now(UTC))
    if as_json:
        out.print_json(data={**state.to_json(), "report": report})
    else:
        render_summary(out, lake, state, report)


def _specs() -> tuple[Any, ...]:
    from parrot_core.stages.registry import STAGE_SPECS

    return STAGE_SPECS
