"""Drift from the run before: a difference, and whether it is more than noise."""

from pathlib import Path

import pytest

from dashboard.statistics_panel import drift, statistics_and_before
from parrot_core.analysis.statistics.values import Figure, Statistics
from parrot_core.lake.kept_statistics import keep
from parrot_core.lake.lake import Lake
from parrot_core.monitor import StageState


def figure(value: float | None, low: float | None = None, high: float | None = None) -> Figure:
    return Figure(name="x", title="x", value=value, low=low, high=high, n=9, of="sessions")


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (figure(3.0, 2.5, 3.5), figure(2.0, 1.5, 2.4), "+1, beyond both intervals"),
        (figure(1.0, 0.5, 1.4), figure(2.0, 1.5, 2.4), "-1, beyond both intervals"),
        (figure(3.0, 2.5, 3.5), figure(2.0, 1.5, 2.5), "+1"),
        (figure(3.0), figure(2.0), "+1"),
        (figure(0.0, 0.0, 0.0), figure(0.0, 0.0, 0.0), "±0"),
        (figure(0.99331), figure(0.99333), "±0"),
        (figure(3.0), figure(None), ""),
        (figure(None), figure(2.0), ""),
        (figure(3.0), None, ""),
    ],
)
def test_a_drift_is_marked_where_the_intervals_are_apart(
    now: Figure, before: Figure | None, said: str
) -> None:
    assert drift(now, before) == said


def test_shares_drift_in_percentage_points() -> None:
    share = figure(0.5).model_copy(update={"unit": "share"})
    assert drift(share, share.model_copy(update={"value": 0.4})) == "+10.0 points"


def test_a_pinned_version_is_held_against_the_run_before_its_own(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for name, day in (("first", 1), ("made", 2), ("pins", 3)):
        record = {"name": name, "created_at": f"2026-11-0{day}T00:00:00+00:00"}
        lake.storage.write_json(f"runs/{name}/run.json", record)
        found = Statistics(
            label=f"parrot@{name}", sessions=9, measured=9, seed=1, tokenizer="words", figures=()
        )
        if name != "pins":
            keep(lake.storage, "parrot", name, name, found.model_dump(mode="json"))
    for version, before in (("made", "parrot@first"), ("first", None)):
        stage = StageState("filter", "parrot", "dataset", "pinned", version)
        now, earlier = statistics_and_before(lake, "pins", stage)
        assert now is not None
        assert now.label == f"parrot@{version}"
        assert (earlier.label if earlier else None) == before
