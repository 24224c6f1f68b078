"""The radar plot: where points lie, when there is none, and that names stay text."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.report.radar import HEIGHT, RADIUS, WIDTH, RadarLine, radar_chart

AXES = ("writing", "math", "coding", "stem")


def chart(values: dict[str, float], axes: tuple[str, ...] = AXES, name: str = "x") -> str:
    lines = [RadarLine(name, values)]
    return str(radar_chart(axes, lines, title="Scores", value_range=(1.0, 10.0)))


def outline(svg: str) -> list[tuple[float, float]]:
    found = re.search(r'class="line area tone-1" points="([^"]*)"', svg)
    assert found is not None
    pairs = (pair.split(",") for pair in found[1].split())
    return [(float(x), float(y)) for x, y in pairs]


def test_the_first_axis_points_up_and_the_others_follow_clockwise() -> None:
    up, right, down, left = outline(chart(dict.fromkeys(AXES, 10.0)))
    assert up == (WIDTH / 2, HEIGHT / 2 - RADIUS)
    assert right == (WIDTH / 2 + RADIUS, HEIGHT / 2)
    assert down == (WIDTH / 2, HEIGHT / 2 + RADIUS)
    assert left == (WIDTH / 2 - RADIUS, HEIGHT / 2)


@given(st.lists(st.floats(1, 10), min_size=3, max_size=12))
def test_the_distance_from_the_centre_is_the_value(values: list[float]) -> None:
    axes = tuple(f"c{place}" for place in range(len(values)))
    points = outline(chart(dict(zip(axes, values, strict=True)), axes))
    for value, (x, y) in zip(values, points, strict=True):
        share = math.hypot(x - WIDTH / 2, y - HEIGHT / 2) / RADIUS
        assert share == pytest.approx((value - 1) / 9, abs=0.002)


def test_a_value_that_is_not_there_is_passed_by() -> None:
    svg = chart({"writing": 4.0, "math": math.nan, "stem": 7.0})
    assert len(outline(svg)) == 2


@pytest.mark.parametrize("axes", [(), ("a",), ("a", "b")])
def test_below_three_categories_there_is_no_plot(axes: tuple[str, ...]) -> None:
    assert chart(dict.fromkeys(axes, 5.0), axes) == ""


def test_without_any_value_there_is_no_plot() -> None:
    assert chart({}) == ""


def test_names_stay_text() -> None:
    hostile = "<script>x</script>"
    svg = chart(dict.fromkeys((hostile, "b", "c"), 5.0), (hostile, "b", "c"), hostile)
    assert "<script" not in svg
    assert 'role="img" aria-label="Scores"' in svg
