"""Commands that make, forecast and watch runs: ``run``, ``retry``, ``plan``, ``status``."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from parrot_cli.console import err, out
from parrot_cli.options import (
    DEFAULT_LAKE,
    AsJson,
    FromStage,
    LakeHere,
    LakeUrl,
    NameIt,
    On,
    OnlyStages,
    Overrides,
    RecipePath,
    RunName,
    UntilStage,
    placed,
    recipe_at,
    runs_like,
    stages_like,
)
from parrot_core.errors import StorageError, UserError

if TYPE_CHECKING:
    from parrot_core.lake.lake import Lake


def run(
    recipe: RecipePath,
    name: NameIt = None,
    lake: LakeUrl = None,
    overrides: Overrides = None,
    only: OnlyStages = None,
    from_stage: FromStage = None,
    until: UntilStage = None,
    with_run: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="RUN",
            help="Take what earlier stages make from this run.",
            autocompletion=runs_like,
        ),
    ] = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Run the factory, or a part of it; run it again to do only what is missing."""
    from parrot_cli.launch import StageChoice, run_recipe
    from parrot_core.execution.pinning import pinned_before
    from parrot_core.execution.selection import run_to_be, selected

    loaded = placed(recipe_at(recipe, lake, overrides), on)
    choice = StageChoice(tuple(only or ()), from_stage, until)
    if with_run is not None:
        if from_stage is None and not only:
            raise UserError("--with RUN needs --from STAGE or --only STAGE")
        wanted = selected(run_to_be(loaded, name), choice.only, choice.first, choice.last)
        loaded = pinned_before(loaded, wanted[0].name, with_run)
    finish = run_recipe(loaded, name, choice, quiet=as_json)
    _finish(finish.run.lake, finish.run.name, finish.report, as_json)


def retry(
    name: RunName,
    lake: LakeHere = DEFAULT_LAKE,
    overrides: Overrides = None,
    shards: Annotated[
        list[str] | None,
        typer.Option(
            "--shard",
            metavar="STAGE[:N]",
            help="Only this shard, or stage; may be repeated.",
            autocompletion=stages_like,
        ),
    ] = None,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Also try shards in quarantine.")
    ] = False,
    rest: Annotated[
        bool,
        typer.Option("--rest", help="Also run the stages nobody has asked for yet."),
    ] = False,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Run the failed and missing shards of a run, with the recipe it was begun with.

    Only of the stages asked for: --until, --from and --only of `parrot run` still apply.
    """
    from parrot_cli.launch import StageChoice, chosen_shards, run_recipe
    from parrot_core.execution.runs import open_run, release_quarantine
    from parrot_core.lake.lake import Lake
    from parrot_core.lake.requested_stages import RequestedStages
    from parrot_core.recipe import overridden
    from parrot_core.stages.registry import STAGES

    begun = open_run(Lake(lake), name)
    recipe = overridden(begun.recipe, (*(overrides or ()), f"lake={json.dumps(lake)}"))
    recipe = placed(recipe, on)
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


def plan(
    recipe: RecipePath,
    name: NameIt = None,
    lake: LakeUrl = None,
    overrides: Overrides = None,
    only: OnlyStages = None,
    from_stage: FromStage = None,
    until: UntilStage = None,
    sample: Annotated[
        int,
        typer.Option(
            min=0, help="Measure lengths on this many rows of the lake; 0: use assumed lengths."
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate requests, tokens, dollars and hours of a recipe; nothing is spent or written."""
    from parrot_cli.forecast_view import render_forecast
    from parrot_core.analysis.forecast.basis import measured
    from parrot_core.analysis.forecast.requests import forecast
    from parrot_core.execution.selection import check_selection, run_to_be, selected
    from parrot_core.stages.forecasting import Basis

    planned = run_to_be(recipe_at(recipe, lake, overrides), name)
    wanted = selected(planned, only or (), from_stage, until)
    check_selection(planned, wanted)
    found = forecast(planned, measured(planned, sample) if sample else Basis(), wanted)
    out.print_json(data=found.to_json()) if as_json else out.print(render_forecast(found))


def status(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a run. Default: all runs.", autocompletion=runs_like),
    ] = None,
    lake: LakeHere = DEFAULT_LAKE,
    shards: Annotated[
        bool, typer.Option("--shards", help="Also list each shard with its cost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far a run is; without a name, list all runs. Reads only the lake."""
    from parrot_cli.status_view import render_runs, render_shards, render_status
    from parrot_core.lake.lake import Lake
    from parrot_core.monitor.reader import list_runs, read_run
    from parrot_core.stages.registry import STAGE_SPECS

    opened = Lake(lake)
    now = datetime.now(UTC)
    if name is not None:
        state = read_run(opened, name, STAGE_SPECS, now)
        if as_json:
            out.print_json(data=state.to_json())
        else:
            out.print(render_status(state), *([render_shards(state)] if shards else []))
        return
    headers = list_runs(opened)
    damaged = [f"run '{header.name}': {header.damage}" for header in headers if header.damage]
    states = [read_run(opened, h.name, STAGE_SPECS, now) for h in headers if not h.damage]
    if as_json:
        out.print_json(data=[state.to_json() for state in states])
    else:
        out.print(render_runs(states) if states else f"{lake} holds no run yet")
    if damaged:
        raise StorageError("; ".join(damaged))


def _finish(lake: "Lake", name: str, report: str, as_json: bool) -> None:
    from parrot_cli.summary import render_summary
    from parrot_core.monitor.reader import read_run
    from parrot_core.stages.registry import STAGE_SPECS

    state = read_run(lake, name, STAGE_SPECS, datetime.now(UTC))
    if as_json:
        out.print_json(data={**state.to_json(), "report": report})
    else:
        render_summary(out, lake, state, report)
