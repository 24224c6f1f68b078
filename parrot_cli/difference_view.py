"""What changed between two runs, for the terminal."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from parrot_cli.tables import Column, FittedTable, figures
from parrot_core.analysis.comparison.distributions import NumberShift, ShareShift
from parrot_core.analysis.comparison.rows import RowsDifference
from parrot_core.analysis.comparison.runs import RunDifference, StageDifference
from parrot_core.analysis.comparison.settings import SettingChange, value_text
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import bounds, count, figure

SHARES_SHOWN = 6
"""Values of a share that are listed; ``--json`` has all."""


def render_difference(found: RunDifference) -> RenderableType:
    """Everything that differs; what is the same in both runs takes one line."""
    title = Text(f"{one_line(found.a.name, 80)} → {one_line(found.b.name, 80)}", "bold")
    parts: list[RenderableType] = [title]
    if found.settings:
        parts.append(_settings(found.settings))
    parts.append(_counts(found))
    for stage in found.stages:
        if not stage.empty:
            parts += _stage(stage)
    parts += _scores(found)
    parts += [Text(f"not compared: {one_line(text, 400)}", "yellow") for text in found.missing]
    if found.empty:
        parts.append(Text("Nothing changed.", "green"))
    return Group(*parts)


def _table(name: str, *names: str) -> FittedTable:
    return FittedTable([Column(name), *figures(*names)])


def _settings(changes: Iterable[SettingChange]) -> RenderableType:
    table = FittedTable([Column("setting"), Column("A", prose=True), Column("B", prose=True)])
    for change in changes:
        values = (Text(one_line(value_text(value), 60)) for value in change.values)
        table.add(Text(one_line(change.path, 80)), *values)
    return Padding(table, (0, 0, 1, 0))


def _counts(found: RunDifference) -> RenderableType:
    table = FittedTable([Column("stage"), Column("what"), *figures("A", "B", "change")])
    unlike = False
    for stage in found.stages:
        differ = [(name, *pair) for name, pair in stage.counts.items() if pair[0] != pair[1]]
        for position, (name, before, after) in enumerate(differ):
            label = Text("" if position else stage.name)
            row = (count(before), count(after), f"{after - before:+,}")
            table.add(label, Text(one_line(name, 60)), *row)
        if stage.a.cost != stage.b.cost:
            table.add(Text("" if differ else stage.name), "cost", stage.a.cost, stage.b.cost)
        unlike = unlike or bool(differ) or stage.a.cost != stage.b.cost
    same = [stage.output for stage in found.stages if stage.empty]
    note = Text(f"the same in both: {', '.join(same)}" if same else "", "dim")
    return Group(table, note) if unlike else note


def _stage(stage: StageDifference) -> list[RenderableType]:
    labels = [f"{side.version}{' (pinned)' if side.pinned else ''}" for side in (stage.a, stage.b)]
    head = Text.assemble((stage.output, "bold"), f"  {labels[0]} → {labels[1]}")
    parts: list[RenderableType] = [Padding(head, (1, 0, 0, 0))]
    if stage.rows is not None:
        parts += _rows(stage.rows)
    moved = [each for each in stage.numbers if each.moved]
    if moved:
        parts.append(_numbers(moved))
    parts += [_share(each) for each in stage.shares if each.moved]
    if stage.files:
        shown = ", ".join(one_line(name, 60) for name in stage.files[:5])
        more = f" and {len(stage.files) - 5} more" if len(stage.files) > 5 else ""
        parts.append(Text(f"  files that differ: {shown}{more}"))
    if stage.figures:
        table = _table("  figure", "A", "B")
        for change in stage.figures:
            name = Text(f"  {one_line(change.name, 60)}")
            table.add(name, figure(change.a), figure(change.b))
        parts.append(table)
    return parts


def _rows(rows: RowsDifference) -> list[RenderableType]:
    line = Text.assemble(
        f"  rows: {count(rows.same)} same, ",
        (f"{count(rows.changed)} changed", "yellow" if rows.changed else ""),
        ", ",
        (f"{count(rows.added)} added", "green" if rows.added else ""),
        ", ",
        (f"{count(rows.removed)} removed", "red" if rows.removed else ""),
    )
    parts: list[RenderableType] = [line]
    if rows.columns:
        said = ", ".join(f"{one_line(name, 40)} {count(n)}" for name, n in rows.columns.items())
        parts.append(Text(f"  changed in: {said}"))
    for sign, style, ids in (("+", "green", rows.added_ids), ("-", "red", rows.removed_ids)):
        parts += [Text(f"  {sign} {one_line(id, 120)}", style) for id in ids]
    for example in rows.examples:
        parts.append(Text(f"  ~ {one_line(example.id, 120)}, {example.column}", "yellow"))
        parts.append(Text(f"      A: {one_line(example.before, 220)}", "dim"))
        parts.append(Text(f"      B: {one_line(example.after, 220)}"))
    if any(rows.repeated):
        said = " and ".join(count(n) for n in rows.repeated)
        parts.append(Text(f"  rows with an id that came before: {said}", "yellow"))
    return parts


def _numbers(shifts: Iterable[NumberShift]) -> RenderableType:
    table = _table("  figure", "mean A", "mean B", "median A", "median B", "shift", "distance", "")
    for each in shifts:
        cells = [figure(side.mean if side else None) for side in (each.a, each.b)] + [
            f"{side.median:,g}" if side else "-" for side in (each.a, each.b)
        ]
        shift = f"{each.shift:+.3f}" if each.shift is not None else "-"
        distance = f"{each.distance:.3f}" if each.distance is not None else "-"
        table.add(Text(f"  {each.name}"), *cells, shift, distance, each.word)
    return table


def _share(shift: ShareShift) -> RenderableType:
    parts = [
        f"{one_line(value, 40)} {count(shift.a.get(value, 0))} → {count(shift.b.get(value, 0))}"
        for value in shift.values[:SHARES_SHOWN]
    ]
    left = len(shift.values) - SHARES_SHOWN
    more = f", and {left} more" if left > 0 else ""
    moved = f" ({shift.distance:.1%} moved)" if shift.distance is not None else ""
    return Text(f"  {shift.name}: {', '.join(parts)}{more}{moved}")


def _scores(found: RunDifference) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if found.scores:
        table = _table("score, B − A", "mean", "95 %", "answers", "sessions", "unpaired")
        for name, each in found.scores.items():
            overall = each.difference.overall
            span = bounds(overall.low, overall.high, "+")
            table.add(
                Text(one_line(name, 60)),
                *(f"{overall.mean:+.2f}", span, count(overall.n), count(overall.sessions)),
                " + ".join(count(n) for n in each.unpaired),
            )
        parts.append(Padding(table, (1, 0, 0, 0)))
    if found.win_rates:
        table = _table("win rate", "A", "B")
        for change in found.win_rates:
            table.add(Text(one_line(change.name, 60)), figure(change.a), figure(change.b))
        parts.append(Padding(table, (1, 0, 0, 0)))
    if found.judges[0] != found.judges[1]:
        said = " and ".join(", ".join(side) or "nobody" for side in found.judges)
        parts.append(Text(f"judged by different models: {one_line(said, 200)}", "yellow"))
    return parts
