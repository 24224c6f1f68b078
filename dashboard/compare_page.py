"""Runs side by side: their settings, data, scores and costs, and which rows differ."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from nicegui import PageArguments, ui

from dashboard.result_set import VersionPart, Wanted
from dashboard.site import Site
from dashboard.widgets import block, body, heading, in_thread, line, read, section, table, title
from parrot_core.analysis.comparison.settings import value_text
from parrot_core.monitor import RunState
from parrot_core.monitor.costs import cost_of_run
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import bounds, count, duration, figure, plural, short_count

if TYPE_CHECKING:  # what compares takes 23 MB, and most viewers never do
    from parrot_core.analysis.comparison.rows import RowsDifference
    from parrot_core.analysis.comparison.runs import RunDifference, StageDifference

MOST_RUNS = 5
MOST_VALUES = 6


async def compare_page(site: Site, args: PageArguments) -> None:
    """Build the page; the runs are in its address, the others are held against the first."""
    title("Compare")
    asked = [name for name in args.query_parameters.get("runs", "").split(",") if name]
    heading("Compare runs")
    headers = await read(site.watch.headers)
    if headers is None:
        return
    known = [header.name for header in headers if not header.damage]
    names = [name for name in dict.fromkeys(asked) if name in known][:MOST_RUNS]

    def choose(chosen: Sequence[str]) -> None:
        ui.navigate.to(f"/compare?runs={','.join(chosen[:MOST_RUNS])}")

    with block("card", "section"):
        ui.select(
            known,
            value=names,
            label="runs, the first is compared with",
            multiple=True,
            on_change=lambda event: choose(event.value),
        ).props("dense outlined options-dense").classes("wide")
    if len(names) < 2:
        line("Choose two runs or more.", "soft")
        return
    states = await read(lambda: [site.watch.run(name) for name in names])
    if states is None:
        return
    _side_by_side(states)
    first = names[0]
    for other in names[1:]:
        waiting = line(f"Comparing {first} and {other}, row by row …", "soft")
        found = await read(partial(_difference, site, first, other))
        waiting.delete()
        if found is not None:
            await _show(site, found)


def _difference(site: Site, a: str, b: str) -> "RunDifference":
    from parrot_core.analysis.comparison.runs import difference

    return difference(site.lake, a, b, site.watch.stages, datetime.now(UTC))


def _side_by_side(states: Sequence[RunState]) -> None:
    with section("Side by side"):
        rows: list[tuple[object, ...]] = [
            ("state", *(state.status_text for state in states)),
            ("cost", *map(cost_of_run, states)),
            ("tokens", *(short_count(state.tokens) for state in states)),
            ("work", *(duration(state.seconds) for state in states)),
        ]
        for stages in zip(*(state.stages for state in states), strict=True):
            if stages[0].kind != "dataset":
                continue
            made = [
                count(s.rows_out) if s.published and s.kind == "dataset" else "–" for s in stages
            ]
            rows.append((f"{stages[0].output}, rows", *made))
        head = ("what", *(state.name for state in states))
        table(head, rows, frozenset(range(1, len(head))))


async def _show(site: Site, found: "RunDifference") -> None:
    """What changed from the first run to another one."""
    a, b = found.a.name, found.b.name
    with section(f"{a} → {b}"):
        if found.empty:
            line("Nothing changed.")
        for text in found.missing:
            line(f"not compared: {text}", "soft", limit=400)
        if found.settings:
            heading("Settings", 3)
            settings = [
                (each.path, *(one_line(value_text(value), 200) for value in each.values))
                for each in found.settings
            ]
            table(("setting", a, b), settings, frozenset())
        same = [stage.output for stage in found.stages if stage.empty]
        if same:
            line(f"The same in both: {', '.join(same)}.", "soft", limit=400)
        for stage in found.stages:
            if not stage.empty:
                await _stage(site, stage, (a, b))
        _scores(found)


async def _stage(site: Site, stage: "StageDifference", names: tuple[str, str]) -> None:
    with block("part"):
        heading(stage.output, 3)
        counts = [
            (name, count(before), count(after), f"{after - before:+,}")
            for name, (before, after) in stage.counts.items()
            if before != after
        ]
        if stage.a.cost != stage.b.cost:
            counts.append(("cost", stage.a.cost, stage.b.cost, ""))
        if counts:
            table(("count", *names, "change"), counts, frozenset({1, 2, 3}))
        if stage.rows is not None:
            await _rows(site, stage, stage.rows)
        _distributions(stage, names)
        if stage.figures:
            figures = [(each.name, figure(each.a), figure(each.b)) for each in stage.figures]
            table(("figure", *names), figures, frozenset({1, 2}))
        if stage.files:
            line(f"files that differ: {', '.join(stage.files[:5])}", "soft small", limit=400)


async def _rows(site: Site, stage: "StageDifference", rows: "RowsDifference") -> None:
    """What became of the rows; each number leads to its rows."""
    left = VersionPart(stage.output, stage.a.version)
    right = VersionPart(stage.output, stage.b.version)
    with block("row wrap"):
        line(f"{plural(rows.same, 'row')} the same")
        for number, said, place, other, differ in (
            (rows.changed, "changed", right, left, "changed"),
            (rows.added, "added", right, left, "only"),
            (rows.removed, "removed", left, right, "only"),
        ):
            target = Wanted(place, other=other.version, differ=differ).address()
            if number:
                ui.link(f"{count(number)} {said}", target)
            else:
                line(f"0 {said}")
    for example in rows.examples:
        with block("row wrap small"):
            line(f"changed in {example.column}:", "soft")
            await _link(site, right, example.id, beside=f"{left.dataset}@{left.version}")
        body(example.before, "small before", 400)
        body(example.after, "small after", 400)


async def _link(site: Site, place: VersionPart, row_id: str, beside: str = "") -> None:
    position = await in_thread(lambda: site.version_cache.index(place).find(row_id))
    if position is None:
        line(row_id, "mono", limit=80)
    else:
        more = f"?beside={beside}" if beside else ""
        ui.link(one_line(row_id, 80), f"{place.path}/{position}{more}").classes("mono")


def _distributions(stage: "StageDifference", names: tuple[str, str]) -> None:
    moved = [each for each in stage.numbers if each.moved]
    if moved:
        rows = [
            (each.name, *(figure(s.mean if s else None) for s in (each.a, each.b)), each.word)
            for each in moved
        ]
        table(("mean of", *names, "shift"), rows, frozenset({1, 2}))
    shares = [
        (f"{each.name}: {one_line(v, 60)}", count(each.a.get(v, 0)), count(each.b.get(v, 0)))
        for each in stage.shares
        if each.moved
        for v in each.values[:MOST_VALUES]
    ]
    if shares:
        table(("rows with", *names), shares, frozenset({1, 2}))


def _scores(found: "RunDifference") -> None:
    if found.scores:
        rows = []
        for name, each in found.scores.items():
            overall = each.difference.overall
            span = bounds(overall.low, overall.high, "+")
            rows.append((name, f"{overall.mean:+.2f}", span, count(overall.n)))
        heading("Scores, the second less the first", 3)
        table(("subject", "mean", "95 % interval", "answers"), rows, frozenset({1, 2, 3}))
    if found.win_rates:
        rates = [(each.name, figure(each.a), figure(each.b)) for each in found.win_rates]
        table(("win rate", found.a.name, found.b.name), rates, frozenset({1, 2}))
    if found.judges[0] != found.judges[1]:
        said = " and ".join(", ".join(side) or "nobody" for side in found.judges)
        line(f"Judged by different models: {said}.", "note", limit=300)
