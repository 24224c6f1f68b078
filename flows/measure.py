"""Commands that measure what is in the lake: ``accuracy``."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from parrot_core.errors import MissingRun, UserError
from parrot_core.lake.lake import Lake

MODELS = ("parrot-sft", "parrot-chat")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(accuracy)


def accuracy(
    what: Annotated[
        list[str],
        typer.Argument(metavar="RUN|MODEL@VERSION…", help="A run stands for its two chat models."),
    ],
    preferences: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Pairs to ask about. Default: the first run's."),
    ] = None,
    lake: Annotated[
        str, typer.Option("--lake", envvar="PARROT_LAKE", help="The lake: a path or URL.")
    ] = ".parrot/lake",
    max_length: Annotated[int, typer.Option(min=64, help="Tokens of prompt and answer.")] = 2048,
    limit: Annotated[int, typer.Option(min=1, help="Most queries of each kind.")] = 500,
    trained: Annotated[
        bool, typer.Option("--trained", help="Also pairs that a compared model was trained on.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Measure how often models find the chosen answer likelier than each kind of negative.

    On pairs that none of them was trained on; no judge is needed. Kept with each run in the lake.
    """
    from parrot_core.evaluation.held_out_pairs import ModelName
    from parrot_core.evaluation.preference_accuracy import (
        AccuracySettings,
        accuracy_file,
        accuracy_grids,
        measure_accuracy,
    )

    opened = Lake(lake)
    named = list(dict.fromkeys(pair for name in what for pair in _models(opened, name)))
    pairs = preferences or _pairs(opened, named)
    settings = AccuracySettings(max_length, limit, trained)
    with Console(stderr=True, quiet=as_json).status(f"Scoring with {len(named)} models …"):
        result = measure_accuracy(opened, [ModelName(*each) for each in named], pairs, settings)
    for version in {version for _, version in named}:
        opened.storage.write_json(accuracy_file(version), result)
    grids = accuracy_grids(result)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    console = Console()
    for grid in grids:
        if markdown:
            typer.echo(grid.markdown())
            continue
        table = Table(*grid.header, title=grid.title, title_justify="left")
        for row in grid.rows:
            table.add_row(*row)
        console.print(table)
    typer.echo(
        f"{result['measured']} of {result['pairs']} pairs measured; left out: "
        + ", ".join(f"{n} {reason}" for reason, n in result["left_out"].items())
    )


def _models(lake: Lake, what: str) -> list[tuple[str, str]]:
    """The models that an argument names: itself, or those of a run that are published."""
    from parrot_core.runner import open_run

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


def _pairs(lake: Lake, models: Sequence[tuple[str, str]]) -> str:
    """The pairs that the first of the models that were trained on pairs was trained on."""
    for model in models:
        inputs = lake.manifest("model", *model).inputs
        if "preferences" in inputs:
            return inputs["preferences"]
    raise UserError("none of these models was trained on pairs: name some with --preferences")
