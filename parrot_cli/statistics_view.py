"""Statistics in the terminal: measured with a progress bar, shown side by side."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from parrot_cli.progress_bar import bar
from parrot_core.analysis.statistics.compute import Options
from parrot_core.analysis.statistics.perplexity import QUERIES as ASKER_QUERIES
from parrot_core.analysis.statistics.processes import usable_cores
from parrot_core.analysis.statistics.values import Statistics
from parrot_core.analysis.statistics.versions import statistics_of, with_asker, with_judge
from parrot_core.errors import UserError
from parrot_core.lake.lake import Lake
from parrot_core.models.references import model_cache
from parrot_core.recipe import Recipe, load_recipe
from parrot_core.report.html_report import render_statistics
from parrot_core.report.statistics_page import (
    StatisticsGrid,
    TableCell,
    agreement_words,
    compare,
    table_1,
)
from parrot_core.telemetry.progress import ProgressReporter
from parrot_core.text.sanitise import one_line


@dataclass(frozen=True, slots=True)
class StatisticsRequest:
    """What the command line asks for."""

    what: tuple[str, ...]
    seed: int = 42
    sample: int | None = None
    tokenizer: str = "words"
    human: str | None = None  # None: what lineage says; empty: none
    asker: str | None = None
    asker_queries: int = ASKER_QUERIES
    judge: str | None = None
    recipe: Path | None = None
    judge_queries: int = 200
    processes: int | None = None  # None: one a core


def measure(lake: Lake, wanted: StatisticsRequest, console: Console) -> list[Statistics]:
    """Statistics of every set, with a progress bar on ``console``."""
    options = Options(seed=wanted.seed, sample=wanted.sample, tokenizer=wanted.tokenizer)
    recipe = load_recipe(wanted.recipe) if wanted.recipe else None
    with bar(console) as reporter:
        return [_measured(lake, what, wanted, recipe, options, reporter) for what in wanted.what]


def _measured(
    lake: Lake,
    what: str,
    wanted: StatisticsRequest,
    recipe: Recipe | None,
    options: Options,
    reporter: ProgressReporter,
) -> Statistics:
    processes = wanted.processes or usable_cores()
    found = statistics_of(lake, what, options, wanted.human, reporter, processes)
    if wanted.asker is not None:
        reporter.step(f"{wanted.asker}'s perplexity of {what}", None)
        copies = model_cache() / "lake"
        found = with_asker(
            lake, what, found, wanted.asker, wanted.human, copies, wanted.asker_queries, reporter
        )
    if wanted.judge is not None:
        reporter.step(f"asking {wanted.judge} about {what}", None)
        found = with_judge(lake, what, found, wanted.judge, recipe, wanted.judge_queries)
    return found


def write(found: Sequence[Statistics], html: Path | None, output: Path | None) -> None:
    """Write the page and the JSON, where they are wanted.

    Raises:
        UserError: a file can't be written.
    """
    if html is not None:
        _write(html, render_statistics(found))
    if output is not None:
        values = [each.model_dump(mode="json") for each in found]
        _write(output, json.dumps(values, ensure_ascii=False, indent=1) + "\n")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{file}: can't be written: {error.strerror}") from None


def render(found: Sequence[Statistics]) -> RenderableType:
    """A table of figures, ours and the paper's, and what is to be said about them."""
    notes = [Text(f"{each.label}: {note}", "yellow") for each in found for note in _notes(each)]
    counted = ", ".join(dict.fromkeys(each.tokenizer for each in found))
    first = table_1(found)
    foot = (
        f"Dim lines: {first.source}. Brackets: 95 % bootstrap intervals over sessions. Tokens: "
        f"{counted}. Definitions: docs/explanation/statistics.md"
    )
    return Group(_table(first), "", _table(compare(found)), "", *notes, Text(foot, "dim"))


def _table(grid: StatisticsGrid) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in grid.columns:
        table.add_column(Text(one_line(name, 60)), justify="right", overflow="fold")
    for line in grid.lines:
        cells = [_cell(cell) for cell in line.cells]
        table.add_row(Text(one_line(line.title, 80)), *cells, style="dim" if line.paper else "")
    return table


def _cell(cell: TableCell) -> Text:
    if not cell.interval:
        return Text(cell.value)
    return Text.assemble(cell.value, (f"  {cell.interval}", "dim"))


def _notes(found: Statistics) -> Iterator[str]:
    if found.human is not None:
        yield f"told from {one_line(found.human, 120)}"
    if found.left_out:
        counts = ", ".join(f"{why} {n:,}" for why, n in found.left_out.items())
        yield f"records that give no session: {counts}"
    for note in found.notes:
        yield one_line(note, 400)
    if found.agreement is not None:
        yield one_line(agreement_words(found.agreement), 600)
