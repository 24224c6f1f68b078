"""The command ``parrot prove``: the held-out proof of a run's asker, and of its DPO."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parrot_cli.console import progress_console
from parrot_cli.measure import MODELS, show
from parrot_cli.options import DEFAULT_LAKE, AsJson, LakeHere, runs_like
from parrot_core.errors import UserError

if TYPE_CHECKING:
    from parrot_core.lake.run import Run
    from parrot_core.telemetry.progress import ProgressReporter
    from parrot_core.text.text_table import Grid


def prove(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run whose asker is trained.", autocompletion=runs_like
        ),
    ],
    lake: LakeHere = DEFAULT_LAKE,
    contexts: Annotated[int, typer.Option(min=2, help="Held-out contexts, one a session.")] = 200,
    history_chars: Annotated[
        int, typer.Option(min=100, help="Longest history; whole turns beyond it are left out.")
    ] = 3000,
    query_chars: Annotated[int, typer.Option(min=10, help="Longest human follow-up.")] = 1500,
    max_tokens: Annotated[int, typer.Option(min=8, help="Longest written query, in tokens.")] = 96,
    instruct: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="Plays the user. Default: the recipe's answerer."),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(metavar="SESSIONS", help="Human sessions out of domain: a file or URL."),
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Texts of a writer in a context.")] = 3,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prove a run's trainings on what was held out: likelihoods, follow-ups, preference pairs.

    The asker, an instruct model that is told to play the user, and the same model that writes a
    bare user turn go on from the same real conversations; the human's own follow-up stands beside
    them. Kept with the run in the lake.
    """
    from parrot_cli.progress_bar import bar
    from parrot_core.analysis.asker_proof.contexts import Bounds
    from parrot_core.analysis.asker_proof.proof import ProofSettings, proof_file
    from parrot_core.analysis.asker_proof.proof import prove as measured
    from parrot_core.analysis.asker_proof.tables import proof_grids
    from parrot_core.analysis.likelihood.preference_accuracy import accuracy_grids
    from parrot_core.execution.runs import open_run
    from parrot_core.lake.lake import Lake

    opened = Lake(lake)
    run = open_run(opened, name)
    bounds = Bounds(contexts, history_chars, query_chars)
    settings = ProofSettings(
        bounds=bounds,
        instruct=instruct,
        beside=tuple(beside or ()),
        resamples=resamples,
        max_tokens=max_tokens,
    )
    console = progress_console(as_json)
    with bar(console) as reporter:
        result = measured(run, settings, reporter)
        result["preferences"] = _preferences(run, reporter)
    opened.storage.write_json(proof_file(run.name), result)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    grids: list[Grid] = proof_grids(result)
    if "parts" in result["preferences"]:
        grids += accuracy_grids(result["preferences"])
    for grid in grids:
        typer.echo(grid.markdown()) if markdown else show(grid)
    _say_rest(result)


def _preferences(run: "Run", reporter: "ProgressReporter") -> dict[str, Any]:
    """What ``parrot accuracy`` says of the run's chat models, or why it says nothing."""
    from parrot_core.analysis.likelihood.held_out_pairs import ModelName
    from parrot_core.analysis.likelihood.preference_accuracy import (
        AccuracySettings,
        measure_accuracy,
    )

    models = [ModelName(model, run.version_of(model)) for model in MODELS]
    if not all(run.lake.published("model", each.name, each.version) for each in models):
        return {"left_out": "the run's chat models are not published"}
    chat = run.lake.manifest("model", models[1].name, models[1].version)
    try:
        pairs = chat.inputs["preferences"]
        return measure_accuracy(run.lake, models, pairs, AccuracySettings(), reporter)
    except UserError as error:  # nothing was held out from the training on pairs
        return {"left_out": str(error)}


def _say_rest(result: dict[str, Any]) -> None:
    for name, domain in result["domains"].items():
        found = domain["contexts"]
        left_out = ", ".join(f"{n} {reason}" for reason, n in found["left_out"].items()) or "none"
        typer.echo(
            f"{name}: {found['taken']} of {found['sessions']} sessions; left out: {left_out}"
        )
        for who, rules in domain["refused"].items():
            shown = ", ".join(f"{rule} {n}" for rule, n in rules.items()) or "none"
            typer.echo(f"refused by the filters, {who}: {shown}")
    for note in result["notes"]:
        typer.echo(note)
    if "parts" not in result["preferences"]:
        typer.echo(f"preference pairs: {result['preferences']['left_out']}")
