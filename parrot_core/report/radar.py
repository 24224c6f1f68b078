"""A radar plot as inline SVG: one axis a category, one closed line a subject."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from parrot_core.report.charts import ticks
from parrot_core.text.sanitise import one_line

WIDTH, HEIGHT, RADIUS = 460, 340, 120
FEWEST_AXES = 3
"""Below so many categories there is no area to see, and nothing is drawn."""


@dataclass(frozen=True, slots=True)
class RadarLine:
    """One subject's value on each axis; an axis without a value is passed by."""

    name: str
    values: Mapping[str, float]
    tone: int = 1  # CSS class tone-1 … tone-4


def radar_chart(
    axes: Sequence[str],
    lines: Sequence[RadarLine],
    *,
    title: str,
    value_range: tuple[float, float],
) -> Markup:
    """Draw every line over the axes, the first axis pointing up, the others clockwise.

    Args:
        lines: the subjects; values that aren't finite are left out.
        value_range: the values at the centre and at the rim.

    Returns:
        An ``<svg>`` element; empty below three axes, or when no line has a value.
    """
    if len(axes) < FEWEST_AXES or not any(line.values for line in lines):
        return Markup("")
    parts = [_web(axes, value_range)]
    parts += [_outline(axes, line, value_range) for line in lines]
    return Markup(
        '<svg class="chart radar" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, HEIGHT, one_line(title), Markup("").join(parts))


def _place(position: int, axes: int, share: float) -> tuple[float, float]:
    angle = 2 * math.pi * position / axes
    x = WIDTH / 2 + RADIUS * share * math.sin(angle)
    return x, HEIGHT / 2 - RADIUS * share * math.cos(angle)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _web(axes: Sequence[str], value_range: tuple[float, float]) -> Markup:
    low, high = value_range
    rings = [value for value in ticks(low, high, 4) if low < value < high] + [high]
    parts = []
    for value in rings:
        share = (value - low) / (high - low)
        ring = _points([_place(i, len(axes), share) for i in range(len(axes))])
        x, y = _place(0, len(axes), share)
        parts.append(Markup('<polygon class="grid" points="{}"/>').format(ring))
        parts.append(
            Markup('<text class="axis" x="{:.1f}" y="{:.1f}">{:g}</text>').format(
                x + 4, y + 11, value
            )
        )
    for position, name in enumerate(axes):
        x, y = _place(position, len(axes), 1.0)
        at_x, at_y = _place(position, len(axes), 1.09)
        side = at_x - WIDTH / 2
        anchor = "middle" if abs(side) < 8 else "start" if side > 0 else "end"
        parts.append(
            Markup(
                '<line class="grid" x1="{}" y1="{}" x2="{:.1f}" y2="{:.1f}"/>'
                '<text class="spoke" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'
            ).format(WIDTH / 2, HEIGHT / 2, x, y, at_x, at_y + 4, anchor, one_line(name, 18))
        )
    return Markup("").join(parts)


def _outline(axes: Sequence[str], line: RadarLine, value_range: tuple[float, float]) -> Markup:
    low, high = value_range
    found = [
        (name, line.values[name], _place(i, len(axes), (line.values[name] - low) / (high - low)))
        for i, name in enumerate(axes)
        if math.isfinite(line.values.get(name, math.nan))
    ]
    dots = Markup("").join(
        Markup(
            '<circle class="dot tone-{}" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}, {}: {:.2f}'
            "</title></circle>"
        ).format(line.tone, x, y, one_line(line.name, 80), one_line(name, 80), value)
        for name, value, (x, y) in found
    )
    outline = Markup('<polygon class="line area tone-{}" points="{}"/>').format(
        line.tone, _points([place for _, _, place in found])
    )
    return outline + dots
