"""A lake's runs as Prometheus metrics, read from the lake when they are scraped.

Names follow Prometheus' practice: base units, ``_total`` for what only grows, labels for what
things are told apart by. Only runs that changed of late are told, so that the number of series
stays bounded however many runs the lake holds.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from parrot_core.lake.lake import Lake
from parrot_core.monitor.costs import known_usd, usage_of
from parrot_core.monitor.reader import RunReader, list_runs
from parrot_core.monitor.shard_state import ShardStatus
from parrot_core.monitor.state import RunState, RunStatus, StageSpec
from parrot_core.telemetry.traffic import FAILURE_KINDS, LATENCY_BOUNDS_S, Traffic

logger = logging.getLogger(__name__)

STATES: tuple[str, ...] = get_args(RunStatus)
SHARD_STATES: tuple[ShardStatus, ...] = get_args(ShardStatus)
Family = GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily


class RunCollector(Collector):
    """Collects all runs that were begun or changed within ``recent``."""

    def __init__(
        self,
        lake: Lake,
        stages: Sequence[StageSpec],
        now: Callable[[], datetime],
        recent: timedelta = timedelta(days=2),
    ) -> None:
        """Nothing is read until the first scrape."""
        self._lake = lake
        self._stages = tuple(stages)
        self._now = now
        self._recent = recent
        self._readers: dict[str, RunReader] = {}
        self._settled: dict[str, RunState] = {}
        self._damaged: set[str] = set()  # told already
        self._lock = threading.Lock()

    def collect(self) -> Iterable[Family]:
        """Read the runs and tell all metrics of them."""
        with self._lock:
            runs = list(self._runs(self._now()))
        return _families(runs)

    def describe(self) -> Iterable[Family]:
        """Names are known without reading the lake, so that registering costs nothing."""
        return _families(())

    def _runs(self, now: datetime) -> Iterator[RunState]:
        for header in list_runs(self._lake):
            if header.damage:
                if header.name not in self._damaged:
                    logger.warning("no metrics of run '%s': %s", header.name, header.damage)
                self._damaged.add(header.name)
                continue
            settled = self._settled.get(header.name)
            if settled is None:
                reader = self._readers.setdefault(
                    header.name, RunReader(self._lake, header.name, self._stages)
                )
                state = reader.read(now)
                if state.final:  # it can't change any more
                    self._settled[header.name] = settled = state
                    del self._readers[header.name]
            else:
                state = settled
            changed = state.updated_at or state.header.created_at
            if changed is None or now - changed <= self._recent:
                yield state


def _families(runs: Sequence[RunState]) -> list[Family]:
    return [
        *_run_families(runs),
        *_stage_families(runs),
        *_engine_families(runs),
        *_traffic_families(runs),
    ]


def _gauge(name: str, help: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help, labels=labels)


def _counter(name: str, help: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, help, labels=labels)


def _run_families(runs: Sequence[RunState]) -> Iterator[Family]:
    labels = ["run"]
    state = _gauge("parrot_run_state", "1 for the state a run is in.", "run", "state")
    spent = _counter(
        "parrot_run_usd", "Dollars a run has spent; none while a price isn't known.", *labels
    )
    budget = _gauge("parrot_run_budget_usd", "Dollars a run may spend.", *labels)
    silent = _gauge(
        "parrot_run_seconds_since_progress", "Seconds since a run's last sign of life.", "run"
    )
    behind = _gauge(
        "parrot_run_seconds_behind",
        "Seconds by which a run will be late for finish_within_hours, at least.",
        *labels,
    )
    for run in runs:
        for each in STATES:
            state.add_metric([run.name, each], float(run.status == each))
        if (usd := known_usd(usage_of(run), run.header.recipe)) is not None:
            spent.add_metric([run.name], usd)
        if (cap := run.header.budget_usd) is not None:
            budget.add_metric([run.name], cap)
        if run.updated_at and run.status != "done":
            silent.add_metric([run.name], run.since(run.updated_at))
        if (late := seconds_behind(run)) is not None:
            behind.add_metric([run.name], late)
    yield from (state, spent, budget, silent, behind)


def seconds_behind(run: RunState) -> float | None:
    """Seconds by which the run will end too late: after ``finish_within_hours`` from its beginning.

    Its end is expected when the stages in work have done what is left of them; what later stages
    take is not known and counts as nothing. 0 for a run in time. None where no time was set, and
    for a run that is done.
    """
    hours, begun = run.header.recipe.get("finish_within_hours"), run.header.created_at
    if not isinstance(hours, int | float) or begun is None or run.status == "done":
        return None
    left = max((stage.eta_s or 0.0 for stage in run.own_stages), default=0.0)
    return max(0.0, (run.read_at - begun).total_seconds() + left - hours * 3600)


def _stage_families(runs: Sequence[RunState]) -> Iterator[Family]:
    labels = ["run", "stage"]
    done = _gauge("parrot_stage_units_done", "Units done.", *labels)
    total = _gauge("parrot_stage_units", "Units to do, where known.", *labels)
    rate = _gauge("parrot_stage_units_per_second", "Units a second now.", *labels)
    eta = _gauge("parrot_stage_eta_seconds", "Seconds left.", *labels)
    shards = _gauge("parrot_stage_shards", "Shards by state.", *labels, "state")
    rejects = _counter("parrot_stage_rejects", "Units put aside.", *labels, "reason")
    failures = _counter("parrot_stage_failed_attempts", "Failed attempts.", *labels)
    idle = _gauge("parrot_stage_seconds_since_unit", "Seconds since a unit was last done.", *labels)
    for run in runs:
        for stage in run.own_stages:
            names = [run.name, stage.name]
            done.add_metric(names, float(stage.done))
            failures.add_metric(names, float(sum(len(s.failures) for s in stage.shards)))
            if stage.advanced_at is not None:
                idle.add_metric(names, run.since(stage.advanced_at))
            for family, value in ((total, stage.total), (rate, stage.rate), (eta, stage.eta_s)):
                if value is not None:
                    family.add_metric(names, float(value))
            for each in SHARD_STATES:
                shards.add_metric([*names, each], float(len(stage.having(each))))
            for reason, count in stage.rejected.items():
                rejects.add_metric([*names, reason], float(count))
    yield from (done, total, rate, eta, shards, rejects, failures, idle)


def _engine_families(runs: Sequence[RunState]) -> Iterator[Family]:
    labels = ["run", "stage", "engine"]
    answers = _counter("parrot_engine_completions", "Completions bought.", *labels)
    tokens = _counter("parrot_engine_tokens", "Tokens.", *labels, "kind")
    usd = _counter("parrot_engine_usd", "Dollars spent; none where the price isn't known.", *labels)
    paused = _gauge("parrot_engine_paused", "1 while a provider refuses.", *labels)
    for run in runs:
        for stage in run.own_stages:
            standing = {name for shard in stage.having("running") for name in shard.paused}
            for engine, used in stage.usage.items():
                names = [run.name, stage.name, engine]
                answers.add_metric(names, float(used.requests))
                tokens.add_metric([*names, "prompt"], float(used.prompt_tokens))
                tokens.add_metric([*names, "completion"], float(used.completion_tokens))
                if (paid := known_usd([(engine, used)], run.header.recipe)) is not None:
                    usd.add_metric(names, paid)
            for engine in stage.usage.keys() | standing:
                paused.add_metric([run.name, stage.name, engine], float(engine in standing))
    yield from (answers, tokens, usd, paused)


def _traffic_families(runs: Sequence[RunState]) -> Iterator[Family]:
    labels = ["run", "stage", "engine"]
    refusals = _counter(
        "parrot_engine_refusals",
        "Tries of requests that failed and were followed by another one.",
        *labels,
        "kind",
    )
    flying = _gauge(
        "parrot_engine_requests_in_flight", "Requests that are not answered yet.", *labels
    )
    latency = HistogramMetricFamily(
        "parrot_engine_request_seconds",
        "Seconds to an answer, without the wait for a limit.",
        labels=labels,
    )
    for run in runs:
        for stage in run.own_stages:
            for engine, traffic in stage.traffic.items():
                names = [run.name, stage.name, engine]
                for kind in FAILURE_KINDS:
                    refusals.add_metric([*names, kind], float(traffic.failures.get(kind, 0)))
                flying.add_metric(names, float(traffic.in_flight))
                latency.add_metric(names, _buckets(traffic), traffic.latency_s)
    yield from (refusals, flying, latency)


def _buckets(traffic: Traffic) -> list[tuple[str, float]]:
    """Counts up to each bound, as Prometheus wants them."""
    names = [*map(str, LATENCY_BOUNDS_S), "+Inf"]
    return list(zip(names, map(float, accumulate(traffic.latencies)), strict=True))
