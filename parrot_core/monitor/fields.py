"""Fields of the lake's state files, read into types; what an old or partial file lacks is empty."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from parrot_core.monitor.shard_state import EngineTotals, ShardFailure


def fingerprint_in(value: object) -> str:
    """The recipe's hash, with or without the code's version beside it."""
    return str(value.get("recipe") or "") if isinstance(value, dict) else str(value or "")


def time_in(value: object) -> datetime | None:
    """A time in ISO 8601; without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    parsed = datetime.fromisoformat(value)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def seconds_between(start: datetime | None, end: datetime | None) -> float:
    """Seconds from one time to a later one; 0 where one is unknown."""
    return max(0.0, (end - start).total_seconds()) if start and end else 0.0


def texts_in(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def words_in(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def asked_in(record: Mapping[str, object] | None) -> tuple[str, ...] | None:
    """The stages that were last asked for (``lake/asked``); None for all."""
    stages = None if record is None else record.get("stages")
    return texts_in(stages) if isinstance(stages, list) else None


def pause_in(record: Mapping[str, object] | None) -> str:
    """A run's pause (``lake/pauses``) in words; empty when there is none."""
    if record is None:
        return ""
    since = str(record.get("since") or "")[:19].replace("T", " ")
    why = f": {record['reason']}" if record.get("reason") else ""
    return f"paused by {record.get('by') or 'somebody'} since {since} UTC{why}"


def stop_in(record: Mapping[str, object] | None) -> str:
    """Why a run was stopped (``lake/stops``); empty while it goes on."""
    return "" if record is None else str(record.get("reason") or "stopped")


def failure_in(record: Mapping[str, object] | None, attempt: int = 1) -> ShardFailure | None:
    """What ended an attempt at a shard, or a whole stage."""
    if record is None:
        return None
    number = record.get("attempt")
    return ShardFailure(
        attempt=number if isinstance(number, int) else attempt,
        error_type=str(record.get("error_type") or "Error"),
        message=str(record.get("message") or ""),
        traceback=str(record.get("traceback") or ""),
        worker=str(record.get("worker") or ""),
        started_at=time_in(record.get("started_at")),
        ended_at=time_in(record.get("ended_at")),
    )


def counts_in(value: object) -> dict[str, int]:
    return {str(k): int(v) for k, v in value.items()} if isinstance(value, dict) else {}


def figures_in(value: object) -> dict[str, float]:
    return {str(k): float(v) for k, v in value.items()} if isinstance(value, dict) else {}


def usage_in(value: object) -> dict[str, EngineTotals]:
    if not isinstance(value, dict):
        return {}
    return {
        str(engine): EngineTotals(
            model=str(item.get("model") or ""),
            prompt_tokens=int(item.get("prompt_tokens") or 0),
            completion_tokens=int(item.get("completion_tokens") or 0),
            requests=int(item.get("requests") or 0),
            usd=float(item.get("usd") or 0.0),
        )
        for engine, item in value.items()
    }


def timeline_in(value: object) -> dict[str, Sequence[float]]:
    """Counters over time, packed: thousands of shards are looked at together."""
    if not isinstance(value, dict):
        return {}
    lines = {str(name): line for name, line in value.items() if isinstance(line, list)}
    return {name: array("d", [float(each or 0.0) for each in line]) for name, line in lines.items()}


def sum_counts(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for key, count in part.items():
            total[key] = total.get(key, 0) + count
    return total


def sum_usage(parts: Iterable[Mapping[str, EngineTotals]]) -> dict[str, EngineTotals]:
    total: dict[str, EngineTotals] = {}
    for part in parts:
        for engine, used in part.items():
            total[engine] = total.get(engine, EngineTotals()) + used
    return total
