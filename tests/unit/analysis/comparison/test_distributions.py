"""Distributions are counted exactly, and their shift says who is larger and by how much."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.analysis.comparison.distributions import (
    Distributions,
    distributions,
    number_shifts,
    share_shifts,
    spread,
)
from tests.support.lakes.finished_run import WINTER, full_run
from tests.support.lakes.run_state import RUN

values = st.lists(st.integers(0, 9), min_size=1, max_size=30)


def shift(a: list[int], b: list[int]) -> tuple[float, float]:
    sides = [Distributions({"x": dict(Counter(map(float, each)))}) for each in (a, b)]
    found = number_shifts(*sides)[0]
    assert found.shift is not None
    assert found.distance is not None
    return found.shift, found.distance


@given(values, values)
def test_the_shift_counts_pairs_as_its_definition_does(a: list[int], b: list[int]) -> None:
    wins = sum((y > x) - (y < x) for x in a for y in b)
    assert shift(a, b)[0] == pytest.approx(wins / (len(a) * len(b)))


@given(values, values)
def test_the_shift_turns_its_sign_and_the_distance_stays(a: list[int], b: list[int]) -> None:
    there, back = shift(a, b), shift(b, a)
    assert there == pytest.approx((-back[0], back[1]))


@given(values)
def test_the_same_values_twice_as_often_are_no_shift(a: list[int]) -> None:
    assert shift(a, a + a) == pytest.approx((0.0, 0.0))


def test_a_wider_spread_has_a_distance_but_no_shift() -> None:
    moved, distance = shift([4, 5, 6], [1, 5, 9])
    assert (moved, distance) == (0.0, pytest.approx(1 / 3))


@given(values)
def test_the_spread_is_numpys(a: list[int]) -> None:
    found = spread(dict(Counter(map(float, a))))
    assert found is not None
    assert found.mean == pytest.approx(np.mean(a))
    quantiles = np.quantile(a, [0.1, 0.5, 0.9], method="inverted_cdf")
    assert [found.p10, found.median, found.p90] == quantiles.tolist()


def test_what_is_not_there_has_no_shift() -> None:
    empty, some = Distributions({"x": {}}), Distributions({"x": {1.0: 2}})
    found = number_shifts(empty, some)[0]
    assert (found.a, found.shift, found.moved) == (None, None, True)


def test_turns_lengths_and_end_reasons_of_dialogues_are_counted(tmp_path: Path) -> None:
    lake = full_run(tmp_path)
    found = distributions(lake.dataset("parrot", RUN))
    assert found.numbers["turns"] == {2.0: 3, 3.0: 2}
    assert found.total("turns") == 12
    assert found.numbers["query characters"][len(WINTER[0])] == 3
    assert sum(found.numbers["answer characters"].values()) == 12
    assert found.shares["end reason"] == {"max_turns": 5}


def test_the_share_that_moved_is_the_total_variation() -> None:
    a, b = Distributions(shares={"x": {"en": 3, "zh": 1}}), Distributions(shares={"x": {"en": 2}})
    found = share_shifts(a, b)[0]
    assert found.distance == pytest.approx(0.25)
    assert found.values == ("en", "zh")
