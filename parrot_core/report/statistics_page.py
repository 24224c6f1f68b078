"""Statistics of several sets side by side, with the paper's Table 1: for page and terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from parrot_core.analysis.statistics.human import DESCRIPTION as HUMAN
from parrot_core.analysis.statistics.measures import offline_measures
from parrot_core.analysis.statistics.perplexity import DESCRIPTION as ASKER
from parrot_core.analysis.statistics.table1 import SOURCE, TABLE_1, Table1Row
from parrot_core.analysis.statistics.tokens import Words
from parrot_core.analysis.statistics.values import Agreement, Curve, Figure, Statistics
from parrot_core.report.charts import Series, line_chart
from parrot_core.text.wording import dollars

CHARTS = (
    *("turns", "context_by_turn", "anaphora_by_turn", "ellipsis_by_turn"),
    *("topic_shifts_by_turn", "opening_by_turn"),
)


@dataclass(frozen=True, slots=True)
class TableCell:
    """A figure as text, its interval, and what it was measured on."""

    value: str
    interval: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table."""

    title: str
    cells: tuple[TableCell, ...]
    paper: bool = False  # from the paper, not measured here


@dataclass(frozen=True, slots=True)
class StatisticsGrid:
    """A table: names of its columns, and its lines."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """One curve of all sets."""

    title: str
    picture: Markup
    sets: tuple[str, ...]


def table_1(sets: Sequence[Statistics]) -> StatisticsGrid:
    """Table 1 of the paper with our sets above its own, a line each."""
    columns = {
        "turns": "turns",
        "context_dependent": "context-dependent",
        "self_rouge": "Self-ROUGE",
    }
    ours = [
        Line(
            found.label,
            (
                _sessions(found),
                *(TableCell(figure_cell(found.figure(name)).value) for name in columns),
            ),
        )
        for found in sets
    ]
    theirs = [
        Line(
            row.label,
            (TableCell(row.sessions), *(_paper(row, name) for name in columns)),
            paper=True,
        )
        for row in TABLE_1
    ]
    return StatisticsGrid(("sessions", *columns.values()), (*ours, *theirs), SOURCE)


def compare(sets: Sequence[Statistics]) -> StatisticsGrid:
    """All figures, a line each, with a column for each set."""
    titles = {figure.name: figure.title for found in sets for figure in found.figures}
    lines = [
        Line("sessions", tuple(map(_sessions, sets))),
        *(
            Line(title, tuple(figure_cell(found.figure(name)) for found in sets))
            for name, title in titles.items()
        ),
    ]
    return StatisticsGrid(tuple(found.label for found in sets), tuple(lines))


def _sessions(found: Statistics) -> TableCell:
    sampled = found.measured != found.sessions
    return TableCell(f"{found.sessions:,}", f"{found.measured:,} measured" if sampled else "")


def _paper(row: Table1Row, name: str) -> TableCell:
    value = row.figures.get(name)
    return TableCell("-" if value is None else f"{value:.2f}")


def charts(sets: Sequence[Statistics]) -> list[Chart]:
    """Distribution of turns, and dependence on context by turn."""
    made = []
    for name in CHARTS:
        having = [(found.label, curve) for found in sets if (curve := found.curve(name))]
        having = [(label, curve) for label, curve in having if curve.points]
        if having:
            made.append(_chart(having))
    return made


def _chart(having: Sequence[tuple[str, Curve]]) -> Chart:
    lines = [
        Series(label, tuple((p.x, 100 * p.value) for p in curve.points), tone=place % 4 + 1)
        for place, (label, curve) in enumerate(having)
    ]
    first = having[0][1]
    top = max(y for line in lines for _, y in line.points)
    picture = line_chart(
        lines,
        title=first.title,
        x_label=f"{first.x_title}; percent",
        y_range=(0.0, max(1.0, top * 1.1)),
    )
    return Chart(first.title, picture, tuple(label for label, _ in having))


def definitions() -> Iterator[tuple[str, str]]:
    """(measure, what it measures) of all measures, for the reader of the page."""
    for measure in offline_measures(0, Words()):
        yield measure.name, measure.description
    yield "human-likeness", HUMAN
    yield "asker", ASKER


def agreement_words(found: Agreement) -> str:
    """The judge and the rules in one sentence."""
    raw, kappa = figure_cell(found.raw), figure_cell(found.kappa)
    return (
        f"{found.judge} judged {found.asked:,} follow-up queries ({found.unreadable} replies were "
        f"unreadable): both say dependent {found.both}, rules only {found.rules_only}, judge only "
        f"{found.judge_only}, neither {found.neither}. Agreement {raw.value} ({raw.interval}), "
        f"Cohen's κ {kappa.value} ({kappa.interval}). {found.requests:,} requests, "
        f"{'cost unknown' if found.usd is None else dollars(found.usd)} at the recipe's prices."
    )


def figure_cell(figure: Figure | None) -> TableCell:
    if figure is None:
        return TableCell("")
    if figure.value is None:
        return TableCell("-", hint=f"{figure.n:,} {figure.of}")
    interval = ""
    if figure.low is not None and figure.high is not None:
        interval = f"{_text(figure.low, figure.unit)} to {_text(figure.high, figure.unit)}"
    return TableCell(_text(figure.value, figure.unit), interval, f"{figure.n:,} {figure.of}")


def _text(value: float, unit: str) -> str:
    if unit == "share":
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
