"""Options that several commands of ``parrot`` share."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from parrot_core.recipe import Recipe

DEFAULT_LAKE = ".parrot/lake"

LakeHere = Annotated[
    str, typer.Option("--lake", envvar="PARROT_LAKE", help="The lake: a path or URL.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
RecipePath = Annotated[Path, typer.Argument(help="The recipe, a YAML file.")]
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


def recipe_from(path: Path, lake: str | None, overrides: list[str] | None) -> "Recipe":
    """The recipe of a file, with what the command line says of it."""
    from parrot_core.recipe import load_recipe

    changes = tuple(overrides or ())
    return load_recipe(path, (*changes, f"lake={json.dumps(lake)}") if lake else changes)
