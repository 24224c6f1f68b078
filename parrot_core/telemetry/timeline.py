"""How an attempt at a shard went over time: a bounded series of its counters, kept in its progress.

Whoever looks at a run, during or after it, sees throughput, refusals and latency over time from
these alone; nothing has to have been watching.
"""

from dataclasses import dataclass

POINTS = 60
"""Most points of one attempt; when there are more, every second one is dropped."""


@dataclass(frozen=True, slots=True)
class Point:
    """Counters at one moment, all since the attempt began."""

    at_s: float
    done: float
    answers: float = 0.0
    refusals: float = 0.0
    latency_s: float = 0.0
    tokens: float = 0.0
    errors: float = 0.0  # 5xx, and answers that are none
    timeouts: float = 0.0  # and connections that broke
    usd: float = 0.0


class Timeline:
    """Points of one attempt, evenly thinned: the interval doubles whenever there are too many."""

    def __init__(self, most: int = POINTS) -> None:
        """Empty; ``most`` is even and at least 4."""
        self._most = most
        self._every_s = 0.0
        self._points: list[Point] = []

    def add(self, point: Point) -> None:
        """Add the newest point, or let it replace the last one when that is too close."""
        points = self._points
        if len(points) > 1 and point.at_s - points[-2].at_s < self._every_s:
            points[-1] = point
            return
        points.append(point)
        if len(points) > self._most:
            self._points = points[::2]
            span = self._points[-1].at_s - self._points[0].at_s
            self._every_s = span / (len(self._points) - 1)

    def to_json(self) -> dict[str, list[float]]:
        """One list a counter, as progress records keep it."""
        return {
            name: [round(getattr(point, name), 6) for point in self._points]
            for name in Point.__dataclass_fields__
        }


class FigureCurve:
    """Figures of a work that counts steps, such as a loss by optimiser step; as evenly thinned."""

    def __init__(self, most: int = 4 * POINTS) -> None:
        """Empty; ``most`` is even and at least 4."""
        self._most = most
        self._every = 1
        self._points: list[tuple[int, dict[str, float]]] = []

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Add the figures of a step; a step that was there before, as after a resume, is replaced.

        Steps between two that are kept are left out.
        """
        points = self._points
        while points and points[-1][0] >= step:
            points.pop()
        if len(points) > 1 and step - points[-2][0] < self._every:
            points.pop()
        points.append((step, dict(figures)))
        if len(points) > self._most:
            self._points = points[::2]
            self._every *= 2

    def to_json(self) -> dict[str, list[float | None]]:
        """One list a figure beside the list ``step``, as progress records keep it."""
        names = dict.fromkeys(name for _, figures in self._points for name in figures)
        columns: dict[str, list[float | None]] = {"step": [float(step) for step, _ in self._points]}
        for name in names:
            columns[name] = [figures.get(name) for _, figures in self._points]
        return columns if names else {}
