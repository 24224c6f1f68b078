"""Options that several commands of ``parrot`` share, and what they mean."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parrot_core.errors import UserError
from parrot_core.text.wording import did_you_mean

if TYPE_CHECKING:
    from parrot_core.recipe import Recipe

DEFAULT_LAKE = ".parrot/lake"
RECIPES = Path(__file__).resolve().parents[1] / "deployments" / "recipes"
"""Recipes that ship with the factory, in a checkout and in a wheel alike."""


def recipes_like(incomplete: str) -> list[str]:
    """Recipes that ship, for the shell's completion; it completes files by itself."""
    return [path.stem for path in sorted(RECIPES.glob(f"{incomplete}*.yaml"))]


def stages_like(incomplete: str) -> list[str]:
    """Stages, for the shell's completion."""
    from parrot_core.stages.registry import STAGE_SPECS

    return [spec.name for spec in STAGE_SPECS if spec.name.startswith(incomplete)]


def runs_like(ctx: typer.Context, incomplete: str) -> list[str]:
    """Runs of the lake that the command line names so far, for the shell's completion."""
    from parrot_core.errors import ParrotError
    from parrot_core.lake.lake import Lake

    try:
        runs = Lake(ctx.params.get("lake") or DEFAULT_LAKE).storage.folders("runs")
    except (ParrotError, OSError):
        return []
    return [name for name in runs if name.startswith(incomplete)]


RecipePath = Annotated[
    str,
    typer.Argument(
        help="A recipe: a YAML file, or the name of one that ships, such as demo.",
        autocompletion=recipes_like,
    ),
]
RunName = Annotated[str, typer.Argument(help="Name of a run.", autocompletion=runs_like)]
NameIt = Annotated[
    str | None, typer.Option("--name", help="Name of the run. Default: the recipe's name.")
]
LakeHere = Annotated[
    str, typer.Option("--lake", envvar="PARROT_LAKE", help="The lake: a path or URL.")
]
LakeUrl = Annotated[
    str | None,
    typer.Option(
        "--lake", envvar="PARROT_LAKE", help="The lake: a path or URL. Default: the recipe's."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override a value of the recipe."),
]
OnlyStages = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="STAGE",
        help="Only this stage; may be repeated.",
        autocompletion=stages_like,
    ),
]
FromStage = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="STAGE",
        help="Begin with this stage.",
        autocompletion=stages_like,
    ),
]
UntilStage = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="STAGE",
        help="End with this stage.",
        autocompletion=stages_like,
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="WHERE",
        help="Where the workers are: `here`; `ray`, the recipe's cluster or the one this machine "
        "belongs to; or a Ray cluster's address, as ray://HOST:10001, HOST:PORT or auto. Default: "
        "as the recipe says.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def recipe_at(where: str, lake: str | None = None, overrides: list[str] | None = None) -> "Recipe":
    """The recipe in a file, or the one of that name that ships.

    Raises:
        RecipeError: it isn't there, or something in it is wrong.
    """
    from parrot_core.recipe import load_recipe

    changes = (*(overrides or ()), *((f"lake={json.dumps(lake)}",) if lake else ()))
    return load_recipe(recipe_file(where), changes)


def placed(recipe: "Recipe", on: str | None) -> "Recipe":
    """The recipe with its workers where ``--on`` says.

    Raises:
        UserError: no place.
    """
    from pydantic import ValidationError

    from parrot_core.recipe import Cluster

    if on is None:
        return recipe
    if on == "here":
        return recipe.model_copy(update={"cluster": None})
    given = recipe.cluster.model_dump() if recipe.cluster else {"address": _ray_here()}
    try:
        cluster = Cluster.model_validate({**given, **({} if on == "ray" else {"address": on})})
    except ValidationError:
        raise UserError(
            f"--on {on}: expected here, ray, auto, HOST:PORT or ray://HOST:10001"
        ) from None
    return recipe.model_copy(update={"cluster": cluster})


def _ray_here() -> str:
    """The cluster that Ray's own commands would take."""
    return os.environ.get("RAY_ADDRESS") or "auto"


def recipe_file(where: str) -> str:
    """The file that is meant: a path, or the name of a recipe that ships.

    Raises:
        UserError: a bare name that is neither.
    """
    if Path(where).exists() or "/" in where or where.endswith((".yaml", ".yml")):
        return where
    shipped = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    if where not in shipped:
        hint = did_you_mean(where, shipped)
        have = ", ".join(shipped) or "none"
        raise UserError(f"{where}: no such file, and no recipe that ships ({have}){hint}")
    return str(shipped[where])
