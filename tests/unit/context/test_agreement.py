"""Shares come with Wilson's interval, and verdicts are compared with labels as one expects."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.context.agreement import AgreementShare, score


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (98, 100, 0.930, 0.9945),
    ],
)
def test_the_interval_is_wilsons(hits: int, of: int, low: float, high: float) -> None:
    assert AgreementShare(hits, of).interval() == pytest.approx((low, high), abs=5e-4)


@given(of=st.integers(1, 500), data=st.data())
def test_the_share_lies_within_its_interval(of: int, data: st.DataObject) -> None:
    share = AgreementShare(data.draw(st.integers(0, of)), of)
    low, high = share.interval()
    assert 0 <= low <= share.value + 1e-12
    assert share.value - 1e-12 <= high <= 1


def test_a_share_of_nothing_says_nothing() -> None:
    assert math.isnan(AgreementShare(0, 0).value)
    assert AgreementShare(0, 0).interval() == (0.0, 1.0)


def test_precision_recall_and_false_alarms_count_what_they_say() -> None:
    found = score([(True, True)] * 6 + [(True, False)] * 2 + [(False, True)] + [(False, False)] * 3)
    assert (found.precision, found.recall) == (AgreementShare(6, 7), AgreementShare(6, 8))
    assert found.false_alarms == AgreementShare(1, 4)
