"""Drift from the run before: a difference, and whether it is more than noise."""

import pytest

from dashboard.statistics_panel import drift
from parrot_core.statistics.values import Figure


def figure(value: float | None, low: float | None = None, high: float | None = None) -> Figure:
    return Figure(name="x", title="x", value=value, low=low, high=high, n=9, of="sessions")


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (figure(3.0, 2.5, 3.5), figure(2.0, 1.5, 2.4), "+1, beyond both intervals"),
        (figure(1.0, 0.5, 1.4), figure(2.0, 1.5, 2.4), "-1, beyond both intervals"),
        (figure(3.0, 2.5, 3.5), figure(2.0, 1.5, 2.5), "+1"),
        (figure(3.0), figure(2.0), "+1"),
        (figure(3.0), figure(None), ""),
        (figure(None), figure(2.0), ""),
        (figure(3.0), None, ""),
    ],
)
def test_a_drift_is_marked_where_the_intervals_are_apart(
    now: Figure, before: Figure | None, said: str
) -> None:
    assert drift(now, before) == said


def test_shares_drift_in_percent() -> None:
    share = figure(0.5).model_copy(update={"unit": "share"})
    assert drift(share, share.model_copy(update={"value": 0.4})) == "+10.0%"
