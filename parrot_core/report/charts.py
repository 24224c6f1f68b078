"""Small charts as inline SVG: drawn from numbers, coloured by the page's own CSS classes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from parrot_core.text.sanitise import one_line

WIDTH, HEIGHT = 380, 196
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 36


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name and its points (x, y), x rising."""

    name: str
    points: tuple[tuple[float, float], ...]
    tone: int = 1  # CSS class tone-1 … tone-4


@dataclass(frozen=True, slots=True)
class _Scale:
    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self.y1 - value) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_range: tuple[float, float] | None = None,
    whole_steps: bool = False,
) -> Markup:
    """Draw lines over a common axis.

    Args:
        series: the lines; points that aren't finite are left out.
        y_range: fixed bounds of the vertical axis; else the data's, with some air.
        whole_steps: mark every whole x (turns) rather than four round ones (steps).

    Returns:
        An ``<svg>`` element; empty when no line has a point.
    """
    lines = [Series(s.name, _finite(s.points), s.tone) for s in series]
    points = [point for line in lines for point in line.points]
    if not points:
        return Markup("")
    scale = _scale(points, y_range)
    xs = (
        range(math.ceil(scale.x0), math.floor(scale.x1) + 1)
        if whole_steps
        else ticks(scale.x0, scale.x1, 5)
    )
    parts = [_grid(scale, ticks(scale.y0, scale.y1, 5), xs)]
    parts += [_line(line, scale) for line in lines if line.points]
    parts.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>').format(
            WIDTH - RIGHT, HEIGHT - 3, x_label
        )
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, HEIGHT, one_line(title), Markup("").join(parts))


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between ``low`` and ``high``, roughly ``about`` of them."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _finite(points: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in points if math.isfinite(x) and math.isfinite(y))


def _scale(points: Sequence[tuple[float, float]], y_range: tuple[float, float] | None) -> _Scale:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x0, x1 = min(xs), max(xs)
    if x0 == x1:
        x0, x1 = x0 - 1, x1 + 1
    if y_range is not None:
        return _Scale(x0, x1, *y_range)
    air = (max(ys) - min(ys)) * 0.12 or abs(ys[0]) * 0.1 or 1.0
    return _Scale(x0, x1, min(ys) - air, max(ys) + air)


def _grid(scale: _Scale, ys: Iterable[float], xs: Iterable[float]) -> Markup:
    parts = []
    for value in ys:
        y = scale.y(value)
        parts.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text class="axis" x="{}" y="{:.1f}" text-anchor="end">{:g}</text>'
            ).format(LEFT, WIDTH - RIGHT, y, y, LEFT - 7, y + 4, round(value, 6))
        )
    for value in xs:
        parts.append(
            Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{:g}</text>').format(
                scale.x(value), HEIGHT - BOTTOM + 17, round(value, 6)
            )
        )
    return Markup("").join(parts)


def _line(line: Series, scale: _Scale) -> Markup:
    path = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in line.points)
    dots = Markup("").join(
        Markup(
            '<circle class="dot tone-{}" cx="{:.1f}" cy="{:.1f}" r="3.2">'
            "<title>{}: {:g} at {:g}</title></circle>"
        ).format(line.tone, scale.x(x), scale.y(y), one_line(line.name, 80), round(y, 4), x)
        for x, y in (line.points if len(line.points) <= 40 else ())
    )
    return Markup('<polyline class="line tone-{}" points="{}"/>{}').format(line.tone, path, dots)
