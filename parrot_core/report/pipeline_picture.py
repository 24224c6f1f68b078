"""The pipeline as an inline SVG: every stage with its output, its count and its state."""

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from parrot_core.monitor.stage_facts import training_facts
from parrot_core.monitor.state import StageState, status_words
from parrot_core.stages.registry import STAGES
from parrot_core.text.wording import count, duration, plural

WIDEST = 11
"""Characters of a headline that a node has room for."""

_NODE_W, _NODE_H, _PITCH_X, _PITCH_Y, _EDGE = 124, 108, 146, 66, 4


def pipeline_picture(stages: Sequence[StageState]) -> Markup:
    """Draw the stages by what they read of each other: left to right, an arrow an input."""
    arrows_of = edges([stage.name for stage in stages])
    places = layout([stage.name for stage in stages], arrows_of)
    if not places:
        return Markup("")
    width = max(col for col, _ in places.values()) * _PITCH_X + _NODE_W + 2 * _EDGE
    height = max(row for _, row in places.values()) * _PITCH_Y + _NODE_H + 2 * _EDGE
    arrows = [_arrow(places[a], places[b]) for a, b in arrows_of]
    nodes = [_node(stage, *_corner(places[stage.name])) for stage in stages]
    return Markup(
        '<svg class="pipeline" viewBox="0 0 {} {}" role="img" '
        'aria-label="The stages of the pipeline with their counts">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
        "{}{}</svg>"
    ).format(width, height, Markup("").join(arrows), Markup("").join(nodes))


def edges(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of a stage and one that reads its output, among those named."""
    makers = {stage.output: stage.name for stage in STAGES if stage.name in names}
    readers = [stage for stage in STAGES if stage.name in names]
    return [(makers[i], s.name) for s in readers for i in s.inputs if i in makers]


def layout(names: Sequence[str], arrows: Sequence[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Column and half-row of each stage.

    A stage stands one column behind the last that it reads of, at the mean height of those; where
    two would meet they are spread over the column, one row apart.
    """
    before = {name: [a for a, b in arrows if b == name] for name in names}
    columns: dict[str, int] = {}
    for name in names:
        columns[name] = max((columns[each] + 1 for each in before[name]), default=0)
    heights: dict[str, float] = {}
    for column in range(max(columns.values(), default=-1) + 1):
        here = [name for name in names if columns[name] == column]
        wanted = {
            name: sum(heights[each] for each in before[name]) / max(1, len(before[name]))
            for name in here
        }
        here.sort(key=lambda name: wanted[name])
        apart = all(wanted[b] - wanted[a] >= 2 for a, b in pairwise(here))
        middle = sum(wanted.values()) / max(1, len(here))
        for n, name in enumerate(here):
            heights[name] = wanted[name] if apart else middle + 2 * n - (len(here) - 1)
    lowest = min(heights.values(), default=0.0)
    return {name: (columns[name], round(heights[name] - lowest)) for name in names}


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return _EDGE + place[0] * _PITCH_X, _EDGE + place[1] * _PITCH_Y


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> Markup:
    x1, y1 = _corner(start)
    x2, y2 = _corner(end)
    x1, y1, y2 = x1 + _NODE_W, y1 + _NODE_H // 2, y2 + _NODE_H // 2
    bend = x2 - (_PITCH_X - _NODE_W)  # straight until the last gap, so no arrow crosses a node
    middle = (bend + x2) / 2
    return Markup(
        '<path class="arrow" d="M{} {}H{}C{} {} {} {} {} {}" marker-end="url(#tip)"/>'
    ).format(x1, y1, bend, middle, y1, middle, y2, x2 - 2, y2)


def _node(stage: StageState, x: int, y: int) -> Markup:
    return Markup(
        '<g class="node {status}"><title>{name}: {words}</title>'
        '<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="9"/>'
        '<circle class="state" cx="{cx}" cy="{cy}" r="4.5"/>'
        '<text class="name" x="{tx}" y="{y1}">{name}</text>'
        '<text class="out" x="{tx}" y="{y2}">→ {output}</text>'
        '<text class="count" x="{tx}" y="{y3}">{headline}</text>'
        '<text class="{tone}" x="{tx}" y="{y4}">{remark}</text>'
        '<text class="small" x="{tx}" y="{y5}">{time}</text></g>'
    ).format(
        status=stage.status,
        words=status_words(stage.status),
        name=stage.name,
        output=stage.output,
        headline=_headline(stage),
        remark=_remark(stage),
        tone="small alarm" if stage.failed else "small",
        time=f"from {stage.version}"[:19] if stage.status == "pinned" else _time(stage),
        x=x,
        y=y,
        w=_NODE_W,
        h=_NODE_H,
        tx=x + 10,
        cx=x + _NODE_W - 13,
        cy=y + 15,
        y1=y + 20,
        y2=y + 37,
        y3=y + 62,
        y4=y + 80,
        y5=y + 96,
    )


def _headline(stage: StageState) -> str:
    if stage.published and stage.kind == "dataset":
        return count(stage.rows_out)
    if stage.published:
        before, after = _heldout_loss(stage)
        return f"{before:.2f} → {after:.2f}" if before and after else "trained"
    if stage.done and stage.total:
        amount = f"{count(stage.done)} of {count(stage.total)}"
        return amount if len(amount) <= WIDEST else f"{stage.percent or 0.0:.0f} %"
    return status_words(stage.status)


def _remark(stage: StageState) -> str:
    if stage.published and stage.kind == "model":
        return "held-out loss" if all(_heldout_loss(stage)) else ""
    if stage.failed:
        return f"{plural(stage.failed, 'shard')} failed"
    return f"{count(stage.rejects)} rejected" if stage.rejects else ""


def _time(stage: StageState) -> str:
    return duration(stage.seconds) if stage.seconds else ""


def _heldout_loss(stage: StageState) -> tuple[float | None, float | None]:
    facts = training_facts(stage)
    return facts.before.get("loss"), facts.after.get("loss")
