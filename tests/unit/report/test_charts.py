"""Charts: numbers in, one inline SVG out."""

import math
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.report.charts import Series, line_chart, ticks

NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.lists(st.tuples(st.integers(0, 10_000).map(float), NUMBERS), max_size=60))
def test_any_numbers_make_well_formed_svg_or_nothing(points: list[tuple[float, float]]) -> None:
    svg = line_chart([Series("<loss>", tuple(points))], title='a "title"', x_label="step")
    if any(math.isfinite(y) for _, y in points):
        ElementTree.fromstring(svg)
        assert "nan" not in svg
    else:
        assert svg == ""


def test_ticks_are_round_and_inside() -> None:
    assert ticks(1, 10, 5) == [2, 4, 6, 8, 10]
    assert ticks(3.0, 3.0, 5) == [3.0]


def test_one_point_is_a_chart_too() -> None:
    assert "circle" in line_chart([Series("a", ((1.0, 2.0),))], title="t", x_label="x")
