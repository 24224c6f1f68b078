"""One shard as its own records show it: receipt, progress and failed attempts."""

from datetime import datetime
from typing import Any

from parrot_core.monitor.fields import (
    counts_in,
    figures_in,
    seconds_between,
    texts_in,
    time_in,
    timeline_in,
    usage_in,
    words_in,
)
from parrot_core.monitor.shard_state import ShardFailure, ShardState, ShardStatus
from parrot_core.telemetry.traffic import landed, traffic_in

STALLED_AFTER_S = 20.0
"""A shard that has not written its progress for so long is called stalled."""

PAUSES = ("BudgetReached", "LeftOpen")
"""Errors that end a shard without fault: no money left, or a batch that goes on without us."""

Json = dict[str, Any]


def done_shard(
    index: int, receipt: Json, progress: Json | None, failures: tuple[ShardFailure, ...]
) -> ShardState:
    accounting = receipt.get("accounting") or {}
    rows_in = int(accounting.get("rows_in") or 0)
    reported = (progress or {}).get("total")  # its last ``done`` may be a moment old
    units = int(reported or rows_in)
    started, ended = time_in(receipt.get("started_at")), time_in(receipt.get("ended_at"))
    return ShardState(
        index,
        "done",
        done=units,
        total=units,
        seconds=seconds_between(started, ended),
        attempts=len(failures) + 1,
        worker=str(receipt.get("worker") or ""),
        started_at=started,
        updated_at=ended,
        advanced_at=ended,
        rows_in=rows_in,
        rows_out=int(accounting.get("rows_out") or 0),
        rejected=counts_in(accounting.get("rejected")),
        usage=usage_in(receipt.get("usage")),
        traffic=landed(traffic_in(receipt.get("traffic"))),
        figures=figures_in((progress or {}).get("figures")),
        warnings=tuple(map(str, receipt.get("warnings") or ())),
        failures=failures,
        timeline=timeline_in((progress or {}).get("timeline")),
        curve=(progress or {}).get("curve") or {},
    )


def open_shard(
    index: int, rows: int, progress: Json, failures: tuple[ShardFailure, ...], now: datetime
) -> ShardState:
    """A shard that was begun and is not committed; ``rows`` are those that it reads."""
    started, updated = time_in(progress.get("started_at")), time_in(progress.get("updated_at"))
    traffic = traffic_in(progress.get("traffic"))
    failed_at = failures[-1].ended_at if failures else None
    over = failed_at is not None and (started is None or failed_at >= started)
    status: ShardStatus
    if over:
        status = ended(failures)
        updated = failed_at
    elif updated is None or (now - updated).total_seconds() > STALLED_AFTER_S:
        status = "stalled"
    else:
        status = "running"
    return ShardState(
        index,
        status,
        done=int(progress.get("done") or 0),
        total=int(progress.get("total") or rows) or None,
        seconds=seconds_between(started, updated),
        attempts=len(failures) + (not over),
        worker=str(progress.get("worker") or ""),
        started_at=started,
        updated_at=updated,
        advanced_at=time_in(progress.get("advanced_at")),
        rejected={} if over else counts_in(progress.get("rejected")),  # tried again: judged again
        usage=usage_in(progress.get("usage")),
        traffic=traffic if status == "running" else landed(traffic),
        figures=figures_in(progress.get("figures")),
        warnings=texts_in(progress.get("warnings")),
        waiting=words_in(progress.get("waiting")),
        paused=words_in(progress.get("paused")),
        failures=failures,
        timeline=timeline_in(progress.get("timeline")),
        curve=progress.get("curve") or {},
    )


def ended(failures: tuple[ShardFailure, ...]) -> ShardStatus:
    """What an attempt that ended early leaves: a shard that waits for the next run, or failed."""
    return "paused" if failures[-1].error_type in PAUSES else "failed"
