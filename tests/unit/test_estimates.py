"""Estimates: intervals are the same under a seed; the area under a curve counts ties half."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.estimates import (
    area_under_curve,
    cohens_kappa,
    ratio,
    ratio_difference,
    resampled,
)

PARTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=12)


def test_a_ratio_is_the_same_again_under_its_seed() -> None:
    above, below = [1.0, 2.0, 0.0, 4.0], [2.0, 2.0, 1.0, 5.0]
    assert ratio((above, below), 7) == ratio((above, below), 7)
    found = ratio((above, below), 7)
    assert found.value == pytest.approx(0.7)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.7 < found.high


@settings(deadline=None, max_examples=30)
@given(PARTS, st.integers(0, 2**40))
def test_a_ratio_is_the_figure_of_its_sums(parts: list[tuple[int, int]], seed: int) -> None:
    """However a figure is resampled, the same seed draws the same sessions."""
    above, below = (np.array([part[side] for part in parts], dtype=float) for side in (0, 1))

    def figure(places: np.ndarray) -> float:
        total = below[places].sum()
        return float(above[places].sum() / total) if total else float("nan")

    found = ratio((above.tolist(), below.tolist()), seed)
    assert found == resampled(figure, len(parts), seed)
    same = ratio_difference(
        (above.tolist(), below.tolist()), (above.tolist(), below.tolist()), seed
    )
    assert same.value == (None if found.value is None else 0.0)
    assert same.low == same.high == (None if found.low is None else 0.0)


def test_one_session_has_a_figure_without_an_interval() -> None:
    found = ratio(([3.0], [2.0]), 1)
    assert (found.value, found.low, found.high) == (1.5, None, None)


def test_kappa_counts_what_cannot_be_read_as_no_agreement() -> None:
    pairs = [(True, True), (True, None), (False, False), (False, None)]
    assert cohens_kappa(pairs) == pytest.approx((0.5 - 0.25) / (1 - 0.25))


def test_auc_counts_ties_half() -> None:
    labels = np.array([1, 1, 0, 0])
    assert area_under_curve(labels, np.array([3.0, 2.0, 1.0, 0.0])) == 1
    assert area_under_curve(labels, np.array([1.0, 1.0, 1.0, 1.0])) == 0.5
    assert area_under_curve(labels, np.array([0.0, 2.0, 2.0, 3.0])) == pytest.approx(0.125)
