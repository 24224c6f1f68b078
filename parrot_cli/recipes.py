"""Commands about recipes: ``init``, ``validate``, ``settings``, ``fetch``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parrot_cli.console import err, out
from parrot_cli.options import AsJson, Overrides, RecipePath, recipe_at, recipe_file
from parrot_core.errors import UserError

if TYPE_CHECKING:
    from parrot_core.recipe import Recipe

_KINDS = {
    "data-only": "dialogues alone, from openings, with API models",
    "capo-on-your-dialogues": "preference pairs for dialogues that you have",
    "openai": "the whole factory, answers and verdicts from an API",
    "local-gpu": "the whole factory on one GPU, with open models",
    "demo": "the whole factory, tiny: two cores, no GPU, no account",
    "paper": "the paper's numbers: eight GPUs of 80 GB",
}


def init(
    file: Annotated[Path, typer.Argument(help="The recipe to write.")] = Path("recipe.yaml"),
    kind: Annotated[
        str | None,
        typer.Option("--from", metavar="RECIPE", help=f"Begin with one of {', '.join(_KINDS)}."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run.")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="WHERE", help="Your conversations: file, folder or URL."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The model that answers (engines.answerer).")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="The address of that model's API.")
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", metavar="USD", help="Stop before the run costs this much."),
    ] = None,
    overrides: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Write a recipe of your own, with comments: from flags, or from a few questions."""
    from parrot_cli.recipe_writing import as_yaml, filled
    from parrot_core.recipe import load_recipe

    if file.exists() and not force:
        raise UserError(f"{file}: is there already; name another file, or give --force")
    if kind is None:
        if not sys.stdin.isatty():
            raise UserError(f"--from: say what to begin with: {', '.join(_KINDS)}")
        kind, name, source, model, budget = _asked(name, source, model, budget)
    values = {
        "name": name or file.stem,
        "ingest.sources": as_yaml(source) if source else None,
        "engines.answerer.model": model,
        "engines.answerer.base_url": base_url,
        "budget_usd": None if budget is None else as_yaml(budget),
    }
    chosen = {path: value for path, value in values.items() if value is not None}
    for override in overrides or ():
        path, equals, value = override.partition("=")
        if not equals:
            raise UserError(f"--set: expected key.path=value, given {override!r}")
        chosen[path] = value
    text = filled(Path(recipe_file(kind)).read_text(encoding="utf-8"), chosen)
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f".{file.name}.new")
    scratch.write_text(text, encoding="utf-8")
    try:
        load_recipe(scratch)
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)
    out.print(f"{file}: written. Next: parrot plan {file}, parrot run {file}", markup=False)


def _asked(
    name: str | None, source: list[str] | None, model: str | None, budget: float | None
) -> tuple[str, str | None, list[str] | None, str | None, float | None]:
    """Ask for what no flag has said; an empty answer keeps what the recipe has."""
    for number, (kind, what) in enumerate(_KINDS.items(), 1):
        typer.echo(f"  {number}  {kind}: {what}")
    chosen: int = typer.prompt("What is to be made", default=1, type=int)
    if not 1 <= chosen <= len(_KINDS):
        raise UserError(f"expected a number from 1 to {len(_KINDS)}, found {chosen}")
    kind = list(_KINDS)[chosen - 1]
    name = name or typer.prompt("Name of the run", default="mine")
    if kind != "capo-on-your-dialogues" and not source:
        where = typer.prompt("Your conversations (file, folder, URL)", default="")
        source = [where] if where else None
    model = model or typer.prompt("The model that answers", default="") or None
    if budget is None:
        cap = typer.prompt("Hard stop before this cost, in dollars", default="")
        try:
            budget = float(cap) if cap else None
        except ValueError:
            raise UserError(f"expected dollars, found {cap!r}") from None
    return kind, name, source, model, budget


def validate(recipe: RecipePath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Check a recipe; with --json print it with every default filled in."""
    from parrot_core.engines.shaping import request_lines

    loaded = recipe_at(recipe, None, overrides)
    if as_json:
        out.print_json(data=loaded.model_dump(mode="json"))
        return
    stages, missing = _makes(loaded)
    out.print(
        f"{recipe}: valid. Run '{loaded.name}', fingerprint {loaded.fingerprint()[:12]}",
        markup=False,
        soft_wrap=True,
    )
    out.print(f"It makes: {', '.join(stages)}", markup=False, soft_wrap=True)
    for line in request_lines(loaded):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    for problem in missing:
        out.print(f"Before all of it can run: {problem}", markup=False, soft_wrap=True)


def _makes(recipe: "Recipe") -> tuple[list[str], tuple[str, ...]]:
    """The stages that a run of it makes, and what they lack now."""
    from parrot_core.errors import RecipeError
    from parrot_core.execution.selection import (
        check_selection,
        run_to_be,
        selected,
        without_room,
    )

    run = run_to_be(recipe, None)
    wanted = selected(run)
    if mistakes := [each for stage in wanted for each in without_room(run, stage)]:
        raise RecipeError(f"recipe '{recipe.name}'", mistakes)
    try:
        check_selection(run, wanted)
    except RecipeError as error:
        return [stage.name for stage in wanted], error.problems
    return [stage.name for stage in wanted], ()


def settings() -> None:
    """Print every setting of a recipe with its default and bounds, as Markdown."""
    from parrot_core.recipe.reference import recipe_reference

    sys.stdout.write(recipe_reference())


def fetch(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Download the models that a recipe starts from, before a run needs them."""
    from parrot_core.models.references import fetch_model, outside_models

    for reference in outside_models(recipe_at(recipe, None, overrides)):
        with err.status(f"Getting {reference} …"):
            place = fetch_model(reference)
        err.print(f"{reference} → {place}", markup=False)
