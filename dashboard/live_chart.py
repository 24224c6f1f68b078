"""Charts that move: lines over wall-clock time or over steps, with tooltips and zoom (ECharts).

ECharts is sent to the browser by the first chart of a page; pages without one never load it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from dashboard.widgets import block
from parrot_core.text.sanitise import one_line

COLOURS = ("--green", "--blue", "--amber", "--violet", "--red")


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One line: its name, its points (x, y), its colour among ``COLOURS``."""

    name: str
    points: tuple[tuple[float, float | None], ...]
    colour: str = "--green"


class LiveChart:
    """One chart; showing the same again sends nothing."""

    def __init__(self, title: str, *, over_time: bool) -> None:
        """An empty chart in the element that is open.

        Args:
            over_time: x is seconds since 1970, shown in the viewer's own time zone; else steps.
        """
        self._title = title
        self._over_time = over_time
        self._shown: tuple[ChartLine, ...] = ()
        with block("live", "figure"):
            ui.label(title).classes("title caption")
            self._chart = ui.echart(_options(over_time), renderer="svg")
            self._chart.props(f'role="img" aria-label="{title}"')

    def show(self, lines: Sequence[ChartLine]) -> None:
        if tuple(lines) == self._shown:
            return
        self._shown = tuple(lines)
        options = self._chart.options
        options["series"] = [self._series(each) for each in lines]
        options["legend"]["show"] = len(lines) > 1
        self._chart.update()

    def _series(self, line: ChartLine) -> dict[str, Any]:
        scale = 1000 if self._over_time else 1
        colour = f"var({line.colour})"
        return {
            "name": one_line(line.name, 60),
            "type": "line",
            "data": [[x * scale, None if y is None else round(y, 5)] for x, y in line.points],
            "showSymbol": False,
            "lineStyle": {"color": colour, "width": 2},
            "itemStyle": {"color": colour},
        }


def _options(over_time: bool) -> dict[str, Any]:
    text = {"color": "var(--soft)", "fontSize": 12, "hideOverlap": True}
    rule = {"lineStyle": {"color": "var(--rule)"}}
    axis = {"axisLabel": text, "axisLine": rule, "splitLine": {"show": False}}
    x = {**axis, "type": "time" if over_time else "value", "min": "dataMin", "max": "dataMax"}
    zoom = {"type": "slider", "height": 16, "bottom": 4, "showDetail": False, "brushSelect": False}
    return {
        "animation": False,
        "grid": {"left": 52, "right": 16, "top": 26, "bottom": 52},
        "legend": {"show": False, "top": 0, "textStyle": {"color": "var(--ink)"}, "icon": "circle"},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": x,
        "yAxis": {**axis, "type": "value", "scale": not over_time, "splitLine": rule},
        "dataZoom": [zoom, {"type": "inside", "zoomOnMouseWheel": "ctrl"}],
        "series": [],
    }
