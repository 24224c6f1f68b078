"""Commands that compare models: ``accuracy``, ``answers`` and ``ablate``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parrot_cli.console import out, progress_console
from parrot_cli.options import DEFAULT_LAKE, AsJson, LakeHere
from parrot_core.errors import MissingRun, ParrotError, UserError

if TYPE_CHECKING:
    from parrot_core.analysis.ablation.plan import CellPlan
    from parrot_core.lake.lake import Lake
    from parrot_core.text.text_table import Grid

MODELS = ("parrot-sft", "parrot-chat")


def accuracy(
    what: Annotated[
        list[str],
        typer.Argument(metavar="RUN|MODEL@VERSION…", help="A run stands for its two chat models."),
    ],
    preferences: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Pairs to ask about. Default: the first run's."),
    ] = None,
    lake: LakeHere = DEFAULT_LAKE,
    max_length: Annotated[int, typer.Option(min=64, help="Tokens of prompt and answer.")] = 2048,
    limit: Annotated[int, typer.Option(min=1, help="Most queries of each kind.")] = 500,
    trained: Annotated[
        bool,
        typer.Option("--trained", help="Also measure pairs that a compared model was trained on."),
    ] = False,
    histories: Annotated[
        bool,
        typer.Option(
            "--histories", help="Also measure without history, and with another session's."
        ),
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how often models find the chosen answer likelier than each kind of negative.

    Uses pairs that none of them was trained on, and no judge. Each run keeps it in the lake.
    """
    from parrot_cli.progress_bar import bar
    from parrot_core.analysis.likelihood.held_out_pairs import ModelName
    from parrot_core.analysis.likelihood.preference_accuracy import (
        AccuracySettings,
        accuracy_file,
        accuracy_grids,
        measure_accuracy,
    )
    from parrot_core.lake.lake import Lake

    opened = Lake(lake)
    named = list(dict.fromkeys(pair for name in what for pair in _models(opened, name)))
    pairs = preferences or _pairs(opened, named)
    settings = AccuracySettings(max_length, limit, trained, histories)
    with bar(progress_console(as_json)) as told:
        models = [ModelName(*each) for each in named]
        result = measure_accuracy(opened, models, pairs, settings, told)
    for version in {version for _, version in named}:
        opened.storage.write_json(accuracy_file(version), result)
    grids = accuracy_grids(result)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    for grid in grids:
        typer.echo(grid.markdown()) if markdown else show(grid)
    typer.echo(
        f"{result['measured']} of {result['pairs']} pairs measured; left out: "
        + ", ".join(f"{n} {reason}" for reason, n in result["left_out"].items())
    )


def answers(
    what: Annotated[
        list[str],
        typer.Argument(metavar="RUN|MODEL@VERSION…", help="A run stands for its two chat models."),
    ],
    conversations: Annotated[
        str, typer.Option(metavar="VERSION", help="Real sessions; their held-out ones are taken.")
    ],
    lake: LakeHere = DEFAULT_LAKE,
    sessions: Annotated[int, typer.Option(min=2, help="Most sessions, an answer of each.")] = 200,
    max_length: Annotated[int, typer.Option(min=64, help="Tokens of history and answer.")] = 2048,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how likely models find the answers of real sessions that none was trained on."""
    from parrot_cli.progress_bar import bar
    from parrot_core.analysis.likelihood.held_out_pairs import ModelName
    from parrot_core.analysis.likelihood.real_answers import (
        AnswerSettings,
        answer_grid,
        measure_answers,
    )
    from parrot_core.lake.lake import Lake

    opened = Lake(lake)
    named = list(dict.fromkeys(pair for name in what for pair in _models(opened, name)))
    settings = AnswerSettings(sessions=sessions, max_length=max_length)
    with bar(progress_console(as_json)) as told:
        models = [ModelName(*each) for each in named]
        result = measure_answers(opened, models, conversations, settings, told)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    grid = answer_grid(result)
    typer.echo(grid.markdown()) if markdown else show(grid)


def ablate(
    matrix: Annotated[Path, typer.Argument(help="The ablation matrix, a YAML file.")],
    lake: Annotated[
        str | None,
        typer.Option("--lake", envvar="PARROT_LAKE", help="The lake. Default: the base recipe's."),
    ] = None,
    earlier: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="RUN", help="Reuse this run's versions where they fit."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override a value in all cells."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--cell", metavar="CELL", help="Only this cell; may be repeated."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what each cell makes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run an ablation: all cells of a matrix, which share equal versions; then the table.

    Run it again to do what is missing. If a cell fails, the others go on.
    """
    from parrot_cli.launch import check_apis, use_prefect
    from parrot_core.analysis.ablation.matrix import load_matrix
    from parrot_core.analysis.ablation.plan import plan_ablation
    from parrot_core.analysis.ablation.table import ablation_grid, notes
    from parrot_core.execution.runs import open_run
    from parrot_core.lake.lake import Lake
    from parrot_core.recipe import load_recipe

    loaded = load_matrix(matrix)
    changes = (*(overrides or ()), *([f"lake={json.dumps(lake)}"] if lake else []))
    base = load_recipe(matrix.parent / loaded.base, changes)
    opened = Lake(base.lake)
    plans = plan_ablation(loaded, base, opened, [open_run(opened, run) for run in earlier or ()])
    for name in only or ():
        if name not in loaded.cells:
            raise UserError(f"--cell {name}: no such cell; there are: {', '.join(loaded.cells)}")
    plans = [each for each in plans if not only or each.cell in only]
    if plan:
        _show_plan(plans, as_json)
        return
    console = progress_console(as_json)
    for cell in plans:
        check_apis(cell.recipe, cell.engines(opened))
    use_prefect(console)
    from flows.ablate import run_ablation  # Prefect reads its settings when it is imported

    with console.status(f"Running the {len(plans)} cells of '{loaded.name}' …"):
        found = run_ablation(loaded, plans)
    if as_json:
        typer.echo(json.dumps(found.result, indent=1))
    else:
        for grid in (ablation_grid(found.result), *found.more):
            show(grid)
        typer.echo(f"{notes(found.result)}\n{found.place}")
    if found.failures:
        named = "; ".join(f"{name}: {why}" for name, why in found.failures.items())
        raise ParrotError(f"ablation '{loaded.name}': {named}. The same command does what is left")


def _show_plan(plans: Sequence["CellPlan"], as_json: bool) -> None:
    if as_json:
        fields = ("name", "label", "run", "makes", "pins")
        rows = [{name: getattr(each, name) for name in fields} for each in plans]
        typer.echo(json.dumps(rows, indent=1, default=dict))
        return
    from parrot_core.text.text_table import Grid

    cells = tuple(
        (
            each.run,
            ", ".join(each.makes) or "nothing",
            ", ".join(f"{name}@{version}" for name, version in each.pins.items()) or "nothing",
        )
        for each in plans
    )
    show(Grid("What each cell makes, and takes from others", ("run", "makes", "takes"), cells))


def show(grid: "Grid") -> None:
    """Print one table to the terminal."""
    from parrot_cli.tables import Column, FittedTable

    table = FittedTable([Column(name) for name in grid.header])
    for row in grid.rows:
        table.add(*row)
    out.print(grid.title, style="bold", markup=False)
    out.print(table)


def _models(lake: "Lake", what: str) -> list[tuple[str, str]]:
    """The models that an argument names: itself, or those of a run that are published."""
    from parrot_core.execution.runs import open_run

    name, at, version = what.partition("@")
    if at:
        lake.manifest("model", name, version)
        return [(name, version)]
    try:
        run = open_run(lake, what)
    except MissingRun as error:
        raise UserError(f"{error}; a model is given as NAME@VERSION") from None
    versions = [(model, run.version_of(model)) for model in MODELS]
    found = [each for each in versions if lake.published("model", *each)]
    if not found:
        raise UserError(f"run '{what}' has neither {' nor '.join(MODELS)} published yet")
    return found


def _pairs(lake: "Lake", models: Sequence[tuple[str, str]]) -> str:
    """The pairs that the first of the models that were trained on pairs was trained on."""
    for model in models:
        inputs = lake.manifest("model", *model).inputs
        if "preferences" in inputs:
            return inputs["preferences"]
    raise UserError("none of these models was trained on pairs: name some with --preferences")
