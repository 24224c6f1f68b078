"""Reads the state of runs from the lake's small JSON files; no process is asked, none is needed."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from parrot_core.errors import DamagedRecord, MissingRun
from parrot_core.lake.attempts import AttemptFailure, ShardProgress
from parrot_core.lake.lake import Lake, version_folder
from parrot_core.lake.manifest import Manifest, Receipt, add_usage
from parrot_core.lake.pauses import Pauses
from parrot_core.lake.quarantine import QuarantineRecord
from parrot_core.lake.recipe_in_force import RecipeInForce
from parrot_core.lake.records import R, Record, as_record, read_record
from parrot_core.lake.requested_stages import RequestedStages
from parrot_core.lake.run_records import RunRecord, run_file
from parrot_core.lake.stage_plan import ShardPlan, StagePlan
from parrot_core.lake.stops import Stops
from parrot_core.lake.storage import Storage
from parrot_core.monitor.shard_records import done_shard, ended, open_shard
from parrot_core.monitor.shard_state import ShardState, ShardStatus, StageWorker
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


def read_run(lake: Lake, run: str, stages: Iterable[StageSpec], now: datetime) -> RunState:
    """Read the state of one run once.

    Raises:
        MissingRun: the lake holds no run of this name.
    """
    state = RunReader(lake, run, stages).read(now)
    if state.header.created_at is None and not any(s.published or s.shards for s in state.stages):
        raise MissingRun(run, [header.name for header in list_runs(lake)])
    return state


def list_runs(lake: Lake) -> tuple[RunHeader, ...]:
    """All runs of the lake, newest first; behind them those whose records are damaged."""
    records = (re.fullmatch(r"runs/([^/]+)/run\.json", path) for path in lake.storage.list("runs"))
    return newest_first(read_headers(lake.storage, [record[1] for record in records if record]))


def newest_first(headers: Iterable[RunHeader]) -> tuple[RunHeader, ...]:
    """Sort by the time at which runs began; what tells none comes last."""
    oldest = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(headers, key=lambda h: (h.created_at or oldest, h.name), reverse=True))


def read_headers(storage: Storage, runs: Sequence[str]) -> list[RunHeader]:
    """What runs say of themselves; one that says nothing is left out."""

    def read(run: str) -> RunHeader | None:
        try:
            return header_of(storage, run)
        except DamagedRecord as error:
            return RunHeader(run, damage=str(error))

    return [header for header in storage.each(read, runs) if header is not None]


def header_of(storage: Storage, run: str) -> RunHeader | None:
    """What ``run.json`` says; None where there is none."""
    record = read_record(storage, run_file(run), RunRecord)
    if record is None:
        return None
    return RunHeader(
        name=run,
        recipe=record.recipe,
        fingerprint=record.fingerprint,
        code_version=record.code_version,
        created_at=datetime.fromisoformat(record.created_at),
        stages=record.stages,
    )


class RunReader:
    """Reads one run again and again; what can't change any more is read only once."""

    def __init__(
        self, lake: Lake, run: str, stages: Iterable[StageSpec], *, all_shards: bool = True
    ) -> None:
        """Without ``all_shards`` the shards of a published stage are left out.

        Its manifest has their sums, so a finished run costs one small file a stage.
        """
        self._all_shards = all_shards
        self._storage = lake.storage
        self._run = run
        self._stages = tuple(stages)
        self._final: dict[str, Record] = {}
        self._fresh: dict[str, Json | None] = {}  # what this look has read already
        self._done: dict[str, ShardState] = {}
        self._workers = WorkersSeen(lake.storage)

    def read(self, now: datetime) -> RunState:
        """The run as it is at ``now``; a run that has not begun is all waiting."""
        storage, run = self._storage, self._run
        pause, stop = Pauses(storage, run).read(), Stops(storage, run).read()
        header = replace(
            header_of(storage, run) or RunHeader(run),
            pause="" if pause is None else str(pause),
            asked=RequestedStages(storage, run).read(),
            in_force=RecipeInForce(storage, run).read() or {},
            stop="" if stop is None else stop[0],
        )
        files = frozenset(self._storage.list(f"runs/{self._run}")) if self._all_shards else None
        stages = tuple(self._stage(spec, header, files, now) for spec in self._stages)
        times = [stage.updated_at for stage in stages if stage.updated_at]
        updated = max(times, default=header.created_at)
        return RunState(header, run_status(header, stages, updated, now), stages, now, updated)

    def _once(self, path: str, kind: type[R]) -> R | None:
        if path not in self._final and (found := read_record(self._storage, path, kind)):
            self._final[path] = found
        return cast(R | None, self._final.get(path))

    def _fetch(self, folder: str, shards: Sequence[ShardPlan], files: frozenset[str]) -> None:
        """Read all files of the stage's open shards at once."""
        wanted = []
        for shard in shards:
            below = f"{folder}/shards/{shard.index:05d}"
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
        pinned = spec.pinned(header.recipe.get("inputs") or {})
        version = pinned or self._run
        manifest = self._once(
            f"{version_folder(spec.kind, spec.output, version)}/manifest.json", Manifest
        )
        if pinned is not None:
            return _published(spec, "pinned", version, manifest, ())
        folder = f"runs/{self._run}/{spec.name}"
        if files is None:
            if manifest is not None:
                return _published(spec, "done", version, manifest, ())
            files = frozenset(self._storage.list(folder))
        place = f"{folder}/plan.json"
        plan = self._once(place, StagePlan) if place in files else None
        items = plan.shards if plan is not None else ()
        self._fetch(folder, items, files)
        shards = tuple(self._shard(spec, item, files, now) for item in items)
        shards = tuple(self._judged(f"{folder}/shards", shard, files) for shard in shards)
        if manifest is not None:
            return _published(spec, "done", version, manifest, shards)
        workers = self._workers.at(self._run, spec.name, files, now)
        ended = f"{folder}/failure.json"
        failure = read_record(self._storage, ended, AttemptFailure) if ended in files else None
        if not plan and not workers and not failure and not header.wants(spec.name):
            return StageState(*spec[:3], "skipped", version)
        return _in_work(spec, version, plan, shards, workers, failure, now)

    def _shard(
        self, spec: StageSpec, plan: ShardPlan, files: frozenset[str], now: datetime
    ) -> ShardState:
        index = plan.index
        below = f"runs/{self._run}/{spec.name}/shards/{index:05d}"
        if below in self._done:
            return self._done[below]
        rows = plan.rows if spec.kind == "dataset" else 0  # a training tells how many steps
        failures = tuple(self._failures(below, files))
        progress = self._read_already(f"{below}/progress.json", ShardProgress)
        receipt = self._read_already(f"{below}/receipt.json", Receipt)
        if receipt is not None:
            self._done[below] = done_shard(index, receipt, progress, failures)
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

    def _read_already(self, path: str, kind: type[R]) -> R | None:
        data = self._fresh.get(path)
        return None if data is None else as_record(kind, data, self._storage.show(path))

    def _judged(self, folder: str, shard: ShardState, files: frozenset[str]) -> ShardState:
        """The shard, marked if it is in quarantine. The record may change: it is read anew."""
        path = f"{folder}/{shard.index:05d}/quarantine.json"
        if shard.status == "done" or path not in files:
            return shard
        record = read_record(self._storage, path, QuarantineRecord)
        return replace(shard, quarantined=record is not None and record.state == "quarantined")

    def _failures(self, below: str, files: frozenset[str]) -> Iterable[AttemptFailure]:
        number = 1
        while f"{below}/attempt-{number}.json" in files:
            if found := self._once(f"{below}/attempt-{number}.json", AttemptFailure):
                yield found
            number += 1


def _published(
    spec: StageSpec,
    status: StageStatus,
    version: str,
    manifest: Manifest | None,
    shards: tuple[ShardState, ...],
) -> StageState:
    if manifest is None:  # pinned to a version that isn't there
        return StageState(*spec[:3], status, version)
    accounts = manifest.accounting
    units = accounts.rows_in or sum(shard.done for shard in shards)
    return StageState(
        *spec[:3],
        status,
        version,
        unit=accounts.unit,
        done=units,
        total=units,
        seconds=manifest.seconds,
        source_rows=accounts.source_rows,
        rows_in=accounts.rows_in,
        rows_out=accounts.rows_out,
        rejected=accounts.rejected,
        usage=manifest.usage,
        metrics=manifest.metrics,
        inputs=manifest.inputs,
        warnings=manifest.warnings,
        shards=shards,
        updated_at=datetime.fromisoformat(manifest.created_at),
        published=True,
    )


def _in_work(
    spec: StageSpec,
    version: str,
    plan: StagePlan | None,
    shards: tuple[ShardState, ...],
    workers: tuple[StageWorker, ...],
    failure: AttemptFailure | None,
    now: datetime,
) -> StageState:
    status = stage_status(shards, workers, failure, now)
    planned = datetime.fromisoformat(plan.created_at) if plan is not None else None
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
        *spec[:3],
        status,
        version,
        unit="step" if spec.kind == "model" else plan.unit if plan is not None else "",
        done=done,
        total=total,
        rate=rate,
        eta_s=max(0, left) / rate if rate and left is not None else None,
        seconds=_busy_seconds(shards, now),
        rows_in=sum(shard.rows_in for shard in shards),
        rows_out=sum(shard.rows_out for shard in shards),
        rejected=_counts(shards),
        usage=add_usage(shard.usage for shard in shards),
        figures=newest.figures if newest else {},
        inputs=plan.inputs if plan is not None else {},
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
        spans += [(f.started_at, f.ended_at) for f in shard.failures if f.started_at]
        if shard.started_at and shard.status in ("done", "running", "stalled"):
            end = now if shard.status == "running" else shard.updated_at
            spans.append((shard.started_at, end or shard.started_at))
    busy, reached = 0.0, datetime.min.replace(tzinfo=UTC)
    for start, end in sorted(spans):
        busy += max(0.0, (end - max(start, reached)).total_seconds())
        reached = max(reached, end)
    return busy


def _counts(shards: Iterable[ShardState]) -> dict[str, int]:
    rejected: Counter[str] = Counter()
    for shard in shards:
        rejected.update(shard.rejected)
    return dict(rejected)
