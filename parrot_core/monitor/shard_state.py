"""The state of one shard, and of who works on it, as values: frozen and complete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from parrot_core.lake.attempts import AttemptFailure
from parrot_core.lake.manifest import EngineUsage
from parrot_core.telemetry.traffic import Traffic

ShardStatus = Literal["waiting", "running", "stalled", "paused", "failed", "done"]

BUDGET_ERROR = "BudgetReached"
"""The error that ends a shard when no money is left."""


@dataclass(frozen=True, slots=True)
class ShardState:
    """One shard: how far it is, how fast, what it took and why it failed.

    ``done`` and ``total`` count what the stage reports as progress (sessions, optimiser steps);
    ``rows_in`` and ``rows_out`` are the accounting's units and known once the shard is done.
    """

    index: int
    status: ShardStatus
    done: int = 0
    total: int | None = None
    seconds: float = 0.0
    attempts: int = 0
    worker: str = ""
    started_at: datetime | None = None
    updated_at: datetime | None = None
    advanced_at: datetime | None = None  # when a unit was last done
    rows_in: int = 0
    rows_out: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, EngineUsage] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)  # of all attempts, by engine
    figures: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)  # engine → what it waits for
    paused: Mapping[str, str] = field(default_factory=dict)  # engine → why it stands still
    failures: tuple[AttemptFailure, ...] = ()
    quarantined: bool = False  # failed too often: runs leave it alone
    timeline: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Counters of the latest attempt since ``started_at``, as ``timeline.Timeline`` keeps them."""
    curve: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """Figures by step of a training, as ``timeline.Curve`` keeps them."""

    @property
    def last_error(self) -> AttemptFailure | None:
        """The latest failed attempt, also of a shard that has recovered since."""
        return self.failures[-1] if self.failures else None

    @property
    def out_of_money(self) -> bool:
        """Whether it stands still because the budget was reached."""
        error = self.last_error
        return self.status == "paused" and error is not None and error.error_type == BUDGET_ERROR


@dataclass(frozen=True, slots=True)
class StageWorker:
    """One worker at a stage, as its presence shows it."""

    worker: str
    doing: str
    alive: bool
    updated_at: datetime | None = None
