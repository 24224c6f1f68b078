"""Commands that say what runs came to: ``parrot report`` and ``parrot diff``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows.options import DEFAULT_LAKE, AsJson, LakeHere
from parrot_core.lake.lake import Lake

out = Console()


def report(
    name: Annotated[str, typer.Argument(help="Name of a run.")],
    lake: LakeHere = DEFAULT_LAKE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.")] = None,
) -> None:
    """Write a run's HTML report anew: one file, readable offline."""
    from parrot_core.evaluation.report import build_report
    from parrot_core.pipeline import STAGE_SPECS

    target = output or Path(f"parrot-report-{name}.html")
    html = build_report(Lake(lake), name, STAGE_SPECS)
    target.write_text(html, encoding="utf-8", errors="replace")
    out.print(f"{target.absolute()}", markup=False)


def diff(
    before: Annotated[str, typer.Argument(metavar="RUN_A", help="The run compared with.")],
    after: Annotated[str, typer.Argument(metavar="RUN_B", help="The run looked at.")],
    lake: LakeHere = DEFAULT_LAKE,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if the runs differ, for scripts.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what changed from one run to another: recipe, counts, rows, distributions, scores."""
    from flows.difference_view import render_difference
    from parrot_core.difference.runs import difference
    from parrot_core.pipeline import STAGE_SPECS

    found = difference(Lake(lake), before, after, STAGE_SPECS, datetime.now(UTC))
    if as_json:
        out.print_json(data=found.to_json())
    else:
        out.print(render_difference(found), soft_wrap=False)
    if exit_code and not found.empty:
        raise typer.Exit(1)
