"""Reads the state of runs from the lake's small JSON files; no process is asked, none is needed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from parrot_core.errors import DamagedRecord, MissingRun
from parrot_core.lake.pins import all_pins
from parrot_core.lake.recipe_in_force import recipe_in_force_file
from parrot_core.monitor.fields import (
    asked_in,
    counts_in,
    failure_in,
    fingerprint_in,
    pause_in,
    stop_in,
    sum_counts,
    sum_usage,
    time_in,
    usage_in,
)
from parrot_core.monitor.shard_records import done_shard, ended, open_shard
from parrot_core.monitor.shard_state import ShardFailure, ShardState, ShardStatus, StageWorker
from parrot_core.monitor.state import (
    RunHeader,
    RunState,
    StageSpec,
    StageState,
    StageStatus,
)
from parrot_core.monitor.statuses import ENDED, run_status, stage_status
from parrot_core.monitor.workers import WorkersSeen

Json = dict[str, Any]
Interval = tuple[datetime, datetime]


class ReadableStorage(Protocol):
    """What the monitor needs of the lake's storage."""

    def read_json(self, path: str) -> Json:
        """Read one JSON object; FileNotFoundError when there is none at ``path``."""
        ...

    def read_jsons(self, paths: Sequence[str]) -> Iterable[Json | None]:
        """Read many, in order, as fast as the storage allows; None for one that is gone."""
        ...

    def list(self, prefix: str) -> Sequence[str]:
        """Paths of all files below ``prefix``, relative to the lake's root."""
        ...


class LakeState(Protocol):
    """A lake, as far as the monitor looks into it."""

    @property
    def storage(self) -> ReadableStorage: ...


def read_run(lake: LakeState, run: str, stages: Iterable[StageSpec], now: datetime) -> RunState:
    """Read the state of one run once.

    Raises:
        MissingRun: the lake holds no run of this name.
    """
    state = RunReader(lake, run, stages).read(now)
    if state.header.created_at is None and not any(s.published or s.shards for s in state.stages):
        raise MissingRun(run, [header.name for header in list_runs(lake)])
    return state


def list_runs(lake: LakeState) -> tuple[RunHeader, ...]:
    """All runs of the lake, newest first; behind them those whose records are damaged."""
    records = (re.fullmatch(r"runs/([^/]+)/run\.json", path) for path in lake.storage.list("runs"))
    return newest_first(read_headers(lake.storage, [record[1] for record in records if record]))


def newest_first(headers: Iterable[RunHeader]) -> tuple[RunHeader, ...]:
    """Sort by the time at which runs began; what tells none comes last."""
    oldest = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(headers, key=lambda h: (h.created_at or oldest, h.name), reverse=True))


def read_headers(storage: ReadableStorage, runs: Iterable[str]) -> Iterator[RunHeader]:
    """Yield what runs say of themselves; one that says nothing is left out."""
    for run in runs:
        try:
            record = _read(storage, f"runs/{run}/run.json")
        except DamagedRecord as error:
            yield RunHeader(run, damage=str(error))
        else:
            if record is not None:
                yield header_of(run, record)


class RunReader:
    """Reads one run again and again; what can't change any more is read only once."""

    def __init__(
        self, lake: LakeState, run: str, stages: Iterable[StageSpec], *, all_shards: bool = True
    ) -> None:
        """Nothing is read yet.

        Without ``all_shards`` the shards of a published stage are left out: its manifest has their
        sums, and a finished run costs one small file a stage.
        """
        self._all_shards = all_shards
        self._storage = lake.storage
        self._run = run
        self._stages = tuple(stages)
        self._final: dict[str, Json] = {}
        self._fresh: dict[str, Json | None] = {}  # what this look has read already
        self._done: dict[str, ShardState] = {}
        self._workers = WorkersSeen(lake.storage)

    def read(self, now: datetime) -> RunState:
        """The run as it is at ``now``; a run that has not begun is all waiting."""
        header = header_of(self._run, _read(self._storage, f"runs/{self._run}/run.json") or {})
        pause = pause_in(_read(self._storage, f"runs/{self._run}/pause.json"))
        asked = asked_in(_read(self._storage, f"runs/{self._run}/asked.json"))
        in_force = (_read(self._storage, recipe_in_force_file(self._run)) or {}).get("recipe") or {}
        stop = stop_in(_read(self._storage, f"runs/{self._run}/stopped.json"))
        header = replace(header, pause=pause, asked=asked, in_force=in_force, stop=stop)
        files = frozenset(self._storage.list(f"runs/{self._run}")) if self._all_shards else None
        stages = tuple(self._stage(spec, header, files, now) for spec in self._stages)
        times = [stage.updated_at for stage in stages if stage.updated_at]
        updated = max(times, default=header.created_at)
        return RunState(header, run_status(header, stages, updated, now), stages, now, updated)

    def _once(self, path: str) -> Json | None:
        if path not in self._final and (data := _read(self._storage, path)) is not None:
            self._final[path] = data
        return self._final.get(path)

    def _fetch(self, folder: str, shards: Sequence[Json], files: frozenset[str]) -> None:
        """Read all files of the stage's open shards at once."""
        wanted = []
        for shard in shards:
            below = f"{folder}/shards/{int(shard['index']):05d}"
            if below not in self._done:
                names = [f"{below}/progress.json", f"{below}/receipt.json"]
                wanted += [path for path in names if path in files]
        self._fresh = dict(zip(wanted, self._storage.read_jsons(wanted), strict=True))

    def _stage(
        self,
        spec: StageSpec,
        header: RunHeader,
        files: frozenset[str] | None,
        now: datetime,
    ) -> StageState:
        pinned = all_pins(header.recipe.get("inputs") or {})
        version = pinned.get(spec.output, self._run)
        manifest = self._once(f"{spec.kind}s/{spec.output}/{version}/manifest.json")
        if spec.output in pinned:
            return _published(spec, "pinned", version, manifest or {}, ())
        folder = f"runs/{self._run}/{spec.name}"
        if files is None:
            if manifest is not None:
                return _published(spec, "done", version, manifest, ())
            files = frozenset(self._storage.list(folder))
        plan = (self._once(f"{folder}/plan.json") if f"{folder}/plan.json" in files else None) or {}
        items = plan.get("shards") or []
        self._fetch(folder, items, files)
        shards = tuple(self._shard(spec, item, files, now) for item in items)
        shards = tuple(self._judged(f"{folder}/shards", shard, files) for shard in shards)
        if manifest is not None:
            return _published(spec, "done", version, manifest, shards)
        workers = self._workers.at(self._run, spec.name, files, now)
        ended = f"{folder}/failure.json"
        failure = failure_in(_read(self._storage, ended) if ended in files else None)
        if not plan and not workers and not failure and not header.wants(spec.name):
            return StageState(*spec, "skipped", version)
        return _in_work(spec, version, plan, shards, workers, failure, now)

    def _shard(
        self, spec: StageSpec, plan: Json, files: frozenset[str], now: datetime
    ) -> ShardState:
        index = int(plan["index"])
        below = f"runs/{self._run}/{spec.name}/shards/{index:05d}"
        if below in self._done:
            return self._done[below]
        rows = sum(int(piece["rows"]) for piece in plan.get("inputs") or [])
        rows = rows if spec.kind == "dataset" else 0  # a training counts steps, and tells how many
        failures = tuple(self._failures(below, files))
        receipt = f"{below}/receipt.json"
        progress_path = f"{below}/progress.json"
        progress = self._fresh.get(progress_path)
        if (data := self._fresh.get(receipt)) is not None:
            self._done[below] = done_shard(index, data, progress, failures)
            return self._done[below]
        if progress is None:
            status: ShardStatus = ended(failures) if failures else "waiting"
            return ShardState(
                index,
                status,
                total=rows or None,
                attempts=len(failures),
                failures=failures,
                updated_at=failures[-1].ended_at if failures else None,
            )
        return open_shard(index, rows, progress, failures, now)

    def _judged(self, folder: str, shard: ShardState, files: frozenset[str]) -> ShardState:
        """The shard, marked if it is in quarantine. The record may change: it is read anew."""
        path = f"{folder}/{shard.index:05d}/quarantine.json"
        if shard.status == "done" or path not in files:
            return shard
        record = _read(self._storage, path) or {}
        return replace(shard, quarantined=record.get("state") == "quarantined")

    def _failures(self, below: str, files: frozenset[str]) -> Iterable[ShardFailure]:
        number = 1
        while f"{below}/attempt-{number}.json" in files:
            found = failure_in(self._once(f"{below}/attempt-{number}.json"), number)
            if found is not None:
                yield found
            number += 1


def _published(
    spec: StageSpec,
    status: StageStatus,
    version: str,
    manifest: Json,
    shards: tuple[ShardState, ...],
) -> StageState:
    accounting = manifest.get("accounting") or {}
    rows_in = int(accounting.get("rows_in") or 0)
    units = rows_in or sum(shard.done for shard in shards)
    return StageState(
        *spec,
        status,
        version,
        unit=str(accounting.get("unit") or ""),
        done=units,
        total=units,
        seconds=float(manifest.get("seconds") or 0.0),
        source_rows=accounting.get("source_rows"),
        rows_in=rows_in,
        rows_out=int(accounting.get("rows_out") or 0),
        rejected=counts_in(accounting.get("rejected")),
        usage=usage_in(manifest.get("usage")),
        metrics=manifest.get("metrics") or {},
        inputs=manifest.get("inputs") or {},
        warnings=tuple(map(str, manifest.get("warnings") or ())),
        shards=shards,
        updated_at=time_in(manifest.get("created_at")),
        published=bool(manifest),
    )


def _in_work(
    spec: StageSpec,
    version: str,
    plan: Json,
    shards: tuple[ShardState, ...],
    workers: tuple[StageWorker, ...],
    failure: ShardFailure | None,
    now: datetime,
) -> StageState:
    status = stage_status(shards, workers, failure, now)
    planned = time_in(plan.get("created_at"))
    done = sum(shard.done for shard in shards)
    totals = [shard.total for shard in shards]
    total = sum(t for t in totals if t) if totals and all(totals) else None
    rate = _rate(shards) if status == "running" else None
    left = total - done if total is not None else None
    heard = [s.updated_at for s in shards] + [w.updated_at for w in workers]
    newest = max(
        shards, key=lambda s: s.updated_at or datetime.min.replace(tzinfo=UTC), default=None
    )
    return StageState(
        *spec,
        status,
        version,
        unit="step" if spec.kind == "model" else str(plan.get("unit") or ""),
        done=done,
        total=total,
        rate=rate,
        eta_s=max(0, left) / rate if rate and left is not None else None,
        seconds=_busy_seconds(shards, now),
        rows_in=sum(shard.rows_in for shard in shards),
        rows_out=sum(shard.rows_out for shard in shards),
        rejected=sum_counts(shard.rejected for shard in shards),
        usage=sum_usage(shard.usage for shard in shards),
        figures=newest.figures if newest else {},
        inputs=plan.get("inputs") or {},
        warnings=tuple(dict.fromkeys(w for shard in shards for w in shard.warnings)),
        shards=shards,
        workers=workers,
        failure=failure if status in ENDED else None,
        planned_at=planned,
        updated_at=max((t for t in (*heard, planned) if t is not None), default=None),
    )


def _rate(shards: Sequence[ShardState]) -> float | None:
    """Units a second: what a shard does on average, times the shards in work."""
    seconds = sum(shard.seconds for shard in shards)
    done = sum(shard.done for shard in shards)
    at_work = sum(shard.status == "running" for shard in shards)
    return done / seconds * at_work if seconds > 0 and done and at_work else None


def _busy_seconds(shards: Sequence[ShardState], now: datetime) -> float:
    """Wall-clock seconds in which at least one attempt was in work; pauses don't count."""
    spans: list[Interval] = []
    for shard in shards:
        spans += [(f.started_at, f.ended_at) for f in shard.failures if f.started_at and f.ended_at]
        if shard.started_at and shard.status in ("done", "running", "stalled"):
            end = now if shard.status == "running" else shard.updated_at
            spans.append((shard.started_at, end or shard.started_at))
    busy, reached = 0.0, datetime.min.replace(tzinfo=UTC)
    for start, end in sorted(spans):
        busy += max(0.0, (end - max(start, reached)).total_seconds())
        reached = max(reached, end)
    return busy


def _read(storage: ReadableStorage, path: str) -> Json | None:
    try:
        return storage.read_json(path)
    except FileNotFoundError:
        return None


def header_of(run: str, data: Json) -> RunHeader:
    """What ``run.json`` says."""
    return RunHeader(
        name=run,
        recipe=data.get("recipe") or {},
        fingerprint=fingerprint_in(data.get("fingerprint")),
        code_version=str(data.get("code_version") or ""),
        created_at=time_in(data.get("created_at")),
        stages=None if (stages := data.get("stages")) is None else tuple(map(str, stages)),
    )
