"""What `parrot stats` has measured of a run's sessions, beside the run before it: the drift."""

from collections.abc import Sequence
from functools import partial

from dashboard.site import Site
from dashboard.widgets import block, chart, line, read, section, table
from parrot_core.analysis.statistics.values import Figure, Statistics
from parrot_core.analysis.statistics.versions import best_kept
from parrot_core.lake.lake import Lake
from parrot_core.monitor import StageState, list_runs
from parrot_core.report.charts import Series
from parrot_core.report.statistics_page import figure_cell

MEASURED = ("parrot", "dialogues")
MOST_CURVES = 6
MOST_TURNS = 20
"""So many turns have room for a number each on the axis."""

SAME = 0.0005
"""A change of less than that part of the value is none in the digits shown."""

LOOKED_BACK = 20
"""Earlier runs that are looked through for one whose sessions were measured."""


async def statistics_panel(site: Site, run: str, stages: Sequence[StageState]) -> None:
    """One section a dataset; nothing is worked out here, only what the lake keeps is shown."""
    for stage in stages:
        found = await read(partial(statistics_and_before, site.lake, run, stage))
        if found is None:
            continue
        now, before = found
        title = f"Statistics of {stage.output} {stage.version}"
        if now is None:
            with section(title):
                line(f"Not measured yet: parrot stats {stage.output}@{stage.version}", "soft")
            continue
        with section(title, _told(now, before)):
            _figures(now, before)
            _curves(now, before)


def statistics_and_before(
    lake: Lake, run: str, stage: StageState
) -> tuple[Statistics | None, Statistics | None]:
    """Statistics of a run's version, and of the newest run before the one that made it."""
    names = [header.name for header in list_runs(lake)]
    maker = stage.version if stage.version in names else run  # another run, where it is pinned
    earlier = names[names.index(maker) + 1 :] if maker in names else []
    others = [name for name in earlier[:LOOKED_BACK] if name != stage.version]
    kept = (best_kept(lake, stage.output, name) for name in others)
    before = next((each for each in kept if each is not None), None)
    return best_kept(lake, stage.output, stage.version), before


def _told(now: Statistics, before: Statistics | None) -> str:
    sample = "" if now.measured == now.sessions else f", a sample of {now.measured:,}"
    against = f"; beside {before.label}" if before else ""
    return f"{now.sessions:,} sessions{sample}, as parrot stats measures them{against}."


def _figures(now: Statistics, before: Statistics | None) -> None:
    head = ["measure", "value", "95 % interval"] + (["before", "drift"] if before else [])
    rows = []
    for figure in now.figures:
        cell = figure_cell(figure)
        row = [figure.title, cell.value, cell.interval]
        if before is not None:
            old = before.figure(figure.name)
            row += [figure_cell(old).value or "–", drift(figure, old)]
        rows.append(row)
    moved = (
        number
        for number, figure in enumerate(now.figures)
        if before is not None and _apart(figure, before.figure(figure.name))
    )
    table(head, rows, frozenset(range(1, len(head))), frozenset(moved))


def _curves(now: Statistics, before: Statistics | None) -> None:
    with block("plots"):
        for curve in now.curves[:MOST_CURVES]:
            lines = [Series(now.label, tuple((p.x, p.value) for p in curve.points))]
            old = before.curve(curve.name) if before else None
            if before is not None and old is not None:
                lines.append(Series(before.label, tuple((p.x, p.value) for p in old.points), 2))
            turns = 0 < len(curve.points) <= MOST_TURNS and curve.x_title.startswith("turn")
            chart(lines, curve.title, curve.x_title, whole_steps=turns)


def drift(now: Figure, before: Figure | None) -> str:
    """The difference; marked where the intervals don't touch."""
    if before is None or now.value is None or before.value is None:
        return ""
    change = now.value - before.value
    if abs(change) <= SAME * abs(before.value):
        return "±0"
    text = f"{100 * change:+.1f} points" if now.unit == "share" else f"{change:+,.3g}"
    return f"{text}, beyond both intervals" if _apart(now, before) else text


def _apart(one: Figure, other: Figure | None) -> bool:
    if one.low is None or one.high is None:
        return False
    if other is None or other.low is None or other.high is None:
        return False
    return one.low > other.high or one.high < other.low
