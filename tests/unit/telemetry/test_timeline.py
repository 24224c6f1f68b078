"""A timeline stays small, keeps its ends, and survives its journey through JSON."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.monitor.over_time import over_time
from parrot_core.monitor.shard_state import ShardState
from parrot_core.telemetry.timeline import Point, Timeline

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=400))
def test_however_many_points_come_few_are_kept_in_order_with_the_newest(steps: list[float]) -> None:
    timeline = Timeline(most=8)
    at = 0.0
    for done, step in enumerate(steps, start=1):
        at += step
        timeline.add(Point(at, done))
        kept = json.loads(json.dumps(timeline.to_json()))
        assert len(kept["at_s"]) == len(kept["done"]) <= 8
        assert kept["done"][-1] == done
        assert kept["at_s"] == sorted(kept["at_s"])


def _shard(index: int, started: datetime, *points: Point) -> ShardState:
    timeline = Timeline()
    for point in points:
        timeline.add(point)
    return ShardState(index, "running", started_at=started, timeline=timeline.to_json())


def test_the_rates_of_all_shards_add_up_to_what_was_done() -> None:
    one = _shard(0, START, Point(10, 20, answers=40, refusals=4, latency_s=80, tokens=400))
    two = _shard(1, START.replace(second=5), Point(5, 30, answers=10, latency_s=5, tokens=100))
    moments = over_time([one, two], buckets=10)
    assert len(moments) == 10
    assert sum(m.done for m in moments) == 50
    assert round(sum(m.refusals for m in moments), 6) == 4
    assert moments[0].latency_s == 2.0
    assert moments[0].at - START.timestamp() == 0.5


def test_without_points_there_is_nothing_over_time() -> None:
    assert over_time([]) == ()
    assert over_time([_shard(0, START)]) == ()
