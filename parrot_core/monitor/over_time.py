"""Throughput, refusals and latency of a stage over time, from the timelines of its shards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from parrot_core.monitor.shard_state import ShardState

BUCKETS = 60

Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
Line = Mapping[str, Sequence[float]]

_COUNTERS = ("done", "answers", "refusals", "latency_s", "tokens", "errors", "timeouts", "usd")


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened in one span of time: rates a second, seconds an answer."""

    at: float  # middle of the span, seconds since 1970
    done: float
    answers: float
    refusals: float
    tokens: float
    errors: float  # 5xx, and answers that are none
    timeouts: float  # and connections that broke
    usd: float
    latency_s: float | None  # mean; None where nothing was answered


def over_time(shards: Sequence[ShardState], buckets: int = BUCKETS) -> tuple[Moment, ...]:
    """Rates of all shards together in equal spans of time, from the first start to the last word.

    Between two points of a shard its counters are taken to have grown evenly.
    """
    lines = [
        (s.started_at.timestamp(), s.timeline)
        for s in shards
        if s.started_at and s.timeline.get("at_s")
    ]
    if not lines:
        return ()
    first = min(start for start, _ in lines)
    last = max(start + line["at_s"][-1] for start, line in lines)
    if last - first < 1e-6:
        return ()
    edges: Numbers = np.linspace(first, last, buckets + 1)
    totals: dict[str, Numbers] = {name: np.zeros(buckets + 1) for name in _COUNTERS}
    for start, line in lines:
        _add(totals, edges, start, line)
    width = (last - first) / buckets
    grown = {name: np.diff(total) for name, total in totals.items()}
    return tuple(
        Moment(
            at=first + (number + 0.5) * width,
            done=max(0.0, float(grown["done"][number])) / width,
            answers=float(grown["answers"][number]) / width,
            refusals=float(grown["refusals"][number]) / width,
            tokens=float(grown["tokens"][number]) / width,
            errors=float(grown["errors"][number]) / width,
            timeouts=float(grown["timeouts"][number]) / width,
            usd=float(grown["usd"][number]) / width,
            latency_s=_mean(grown["latency_s"][number], grown["answers"][number]),
        )
        for number in range(buckets)
    )


def _add(totals: dict[str, Numbers], edges: Numbers, start: float, line: Line) -> None:
    times = np.array([0.0, *line["at_s"]]) + start
    for name in _COUNTERS:
        grown = np.array([0.0, *line.get(name, ())])
        counted = grown if len(grown) == len(times) else np.zeros(len(times))
        totals[name] += np.interp(edges, times, counted)


def _mean(seconds: float, answers: float) -> float | None:
    return float(seconds / answers) if answers > 1e-6 else None
