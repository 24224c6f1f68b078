"""Options that several commands of ``parrot`` share."""

from typing import Annotated

import typer

DEFAULT_LAKE = ".parrot/lake"

LakeHere = Annotated[
    str, typer.Option("--lake", envvar="PARROT_LAKE", help="The lake: a path or URL.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
