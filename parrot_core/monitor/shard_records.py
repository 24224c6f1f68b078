"""One shard as its own records show it: receipt, progress and failed attempts."""

from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime

from parrot_core.lake.attempts import AttemptFailure, ShardProgress
from parrot_core.lake.manifest import Receipt
from parrot_core.monitor.shard_state import ShardState, ShardStatus
from parrot_core.telemetry.traffic import landed

STALLED_AFTER_S = 20.0
"""A shard that has not written its progress for so long is called stalled."""

PAUSES = ("BudgetReached", "LeftOpen")
"""Errors that end a shard without fault: no money left, or a batch that goes on without us."""


def done_shard(
    index: int,
    receipt: Receipt,
    progress: ShardProgress | None,
    failures: tuple[AttemptFailure, ...],
) -> ShardState:
    accounts = receipt.accounting
    reported = progress.total if progress is not None else None  # its ``done`` may be older
    units = reported or accounts.rows_in
    started, ended = map(datetime.fromisoformat, (receipt.started_at, receipt.ended_at))
    return ShardState(
        index,
        "done",
        done=units,
        total=units,
        seconds=max(0.0, (ended - started).total_seconds()),
        attempts=len(failures) + 1,
        worker=receipt.worker,
        started_at=started,
        updated_at=ended,
        advanced_at=ended,
        rows_in=accounts.rows_in,
        rows_out=accounts.rows_out,
        rejected=accounts.rejected,
        usage=receipt.usage,
        traffic=landed(receipt.traffic),
        figures=progress.figures if progress is not None else {},
        warnings=receipt.warnings,
        failures=failures,
        timeline=_packed(progress.timeline) if progress is not None else {},
        curve=progress.curve if progress is not None else {},
    )


def open_shard(
    index: int,
    rows: int,
    progress: ShardProgress,
    failures: tuple[AttemptFailure, ...],
    now: datetime,
) -> ShardState:
    """A shard that was begun and is not committed; ``rows`` are those that it reads."""
    failed_at = failures[-1].ended_at if failures else None
    over = failed_at is not None and failed_at >= progress.started_at
    updated = failed_at if over and failed_at is not None else progress.updated_at
    status: ShardStatus = "running"
    if over:
        status = ended(failures)
    elif (now - updated).total_seconds() > STALLED_AFTER_S:
        status = "stalled"
    return ShardState(
        index,
        status,
        done=progress.done,
        total=progress.total or rows or None,
        seconds=max(0.0, (updated - progress.started_at).total_seconds()),
        attempts=len(failures) + (not over),
        worker=progress.worker,
        started_at=progress.started_at,
        updated_at=updated,
        advanced_at=progress.advanced_at,
        rejected={} if over else progress.rejected,  # tried again: judged again
        usage=progress.usage,
        traffic=progress.traffic if status == "running" else landed(progress.traffic),
        figures=progress.figures,
        warnings=progress.warnings,
        waiting=progress.waiting,
        paused=progress.paused,
        failures=failures,
        timeline=_packed(progress.timeline),
        curve=progress.curve,
    )


def ended(failures: tuple[AttemptFailure, ...]) -> ShardStatus:
    """What an attempt that ended early leaves: a shard that waits for the next run, or failed."""
    return "paused" if failures[-1].error_type in PAUSES else "failed"


def _packed(timeline: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """Counters over time, packed: thousands of shards are looked at together."""
    return {name: array("d", line) for name, line in timeline.items()}
