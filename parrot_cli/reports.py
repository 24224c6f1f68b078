"""Commands that say what runs came to: ``parrot report`` and ``parrot diff``."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from parrot_cli.console import out
from parrot_cli.options import DEFAULT_LAKE, AsJson, LakeHere, runs_like
from parrot_core.errors import UserError


def report(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="A run; or several, to compare with the first.",
            autocompletion=runs_like,
        ),
    ],
    lake: LakeHere = DEFAULT_LAKE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; - is the terminal.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Markdown instead of HTML, to the terminal.")
    ] = False,
) -> None:
    """Write the report of a run, or compare several: one HTML file that works offline."""
    from parrot_core.lake.lake import Lake
    from parrot_core.report.comparison_report import build_comparison
    from parrot_core.report.html_report import build_report
    from parrot_core.report.markdown_report import build_markdown
    from parrot_core.stages.registry import STAGE_SPECS

    opened = Lake(lake)
    if len(set(names)) < len(names):
        raise UserError(f"report: a run is named twice: {', '.join(names)}")
    if len(names) > 1:
        if markdown:
            raise UserError("report: --markdown takes one run; several are compared in HTML")
        text = build_comparison(opened, names, STAGE_SPECS)
    else:
        build = build_markdown if markdown else build_report
        text = build(opened, names[0], STAGE_SPECS)
    target = output or Path("-" if markdown else f"parrot-report-{'-vs-'.join(names)}.html")
    if str(target) == "-":
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        return
    target.write_text(text, encoding="utf-8", errors="replace")
    out.print(f"{target.absolute()}", markup=False, soft_wrap=True)


def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="RUN_A",
            help="The run to compare with, such as yesterday's.",
            autocompletion=runs_like,
        ),
    ],
    after: Annotated[
        str,
        typer.Argument(metavar="RUN_B", help="The run to look at.", autocompletion=runs_like),
    ],
    lake: LakeHere = DEFAULT_LAKE,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if the runs differ, for scripts.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what changed from one run to another: recipe, counts, rows, distributions, scores."""
    from parrot_cli.difference_view import render_difference
    from parrot_core.analysis.comparison.runs import difference
    from parrot_core.lake.lake import Lake
    from parrot_core.stages.registry import STAGE_SPECS

    found = difference(Lake(lake), before, after, STAGE_SPECS, datetime.now(UTC))
    if as_json:
        out.print_json(data=found.to_json())
    else:
        out.print(render_difference(found), soft_wrap=False)
    if exit_code and not found.empty:
        raise typer.Exit(1)
