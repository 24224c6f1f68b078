"""Counts requests to one engine, their outcomes, tokens and latency, as they happen."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

FAILURE_KINDS = ("429", "5xx", "4xx", "timeout", "connection", "invalid")
"""Kinds of tries that failed; ``invalid`` is an answer that is no completion."""

LATENCY_BOUNDS_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of the latencies that are counted together; slower answers come behind them."""


@dataclass(slots=True)
class Traffic:
    """Counters of one engine. One thread writes; others may look."""

    answers: int = 0
    truncated: int = 0  # answers that were cut off at their limit of tokens
    in_flight: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    """Tries that failed and were worth another one, by ``FAILURE_KINDS``."""
    latency_s: float = 0.0  # sum over the answers, without the wait for a limit
    latencies: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_S) + 1))
    cut_contexts: int = 0  # answers to a conversation of which the server had dropped a part

    def answered(self, latency_s: float) -> None:
        self.answers += 1
        self.latency_s += latency_s
        self.latencies[bisect_left(LATENCY_BOUNDS_S, latency_s)] += 1

    def failed(self, kind: str) -> None:
        """Count a try that is followed by another one."""
        self.failures[kind] = self.failures.get(kind, 0) + 1

    @property
    def refusals(self) -> int:
        """429s: times that the provider was busy."""
        return self.failures.get("429", 0)

    def failed_as(self, *kinds: str) -> int:
        """Tries that failed in one of these ways."""
        return sum(self.failures.get(kind, 0) for kind in kinds)

    def __add__(self, other: "Traffic") -> "Traffic":
        kinds = dict.fromkeys((*self.failures, *other.failures))
        return Traffic(
            self.answers + other.answers,
            self.truncated + other.truncated,
            self.in_flight + other.in_flight,
            {kind: self.failures.get(kind, 0) + other.failures.get(kind, 0) for kind in kinds},
            self.latency_s + other.latency_s,
            [a + b for a, b in zip(self.latencies, other.latencies, strict=True)],
            self.cut_contexts + other.cut_contexts,
        )


def sum_traffic(parts: Iterable[Mapping[str, Traffic]]) -> dict[str, Traffic]:
    total: dict[str, Traffic] = {}
    for part in parts:
        for engine, traffic in part.items():
            total[engine] = total.get(engine, Traffic()) + traffic
    return total


def landed(traffic: Mapping[str, Traffic]) -> dict[str, Traffic]:
    """The counters of an attempt that is over: whatever it had in flight is gone with it."""
    return {engine: replace(each, in_flight=0) for engine, each in traffic.items()}
