"""One attempt at one shard: reads inputs, collects output, keeps the accounts, tells progress."""

import json
import logging
import shutil
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from parrot_core.engines.connection import Engines
from parrot_core.engines.context_watch import cut_words
from parrot_core.engines.journaled import JournaledModel
from parrot_core.errors import LeaseLost, StorageError
from parrot_core.execution.rejects import RejectWatch
from parrot_core.lake.attempts import ShardProgress
from parrot_core.lake.checkpoints import Checkpoints
from parrot_core.lake.journal import Journal, preview_folder
from parrot_core.lake.lake import Lake, version_folder
from parrot_core.lake.leases import Lease
from parrot_core.lake.live_tail import LiveTail
from parrot_core.lake.manifest import Accounting, FileEntry, Receipt
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import utc_now
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.lake.shard_writer import ParquetFiles, upload_verified
from parrot_core.lake.stage_plan import ShardPlan, Slice
from parrot_core.lake.storage import Storage
from parrot_core.schemas import DATASETS, REJECTS
from parrot_core.stages.base import Row, Stage
from parrot_core.stages.reasons import REASONS
from parrot_core.telemetry.stop_request import stop_request
from parrot_core.telemetry.timeline import FigureCurve, Point, Timeline
from parrot_core.telemetry.traffic import Traffic, landed, sum_traffic

logger = logging.getLogger(__name__)

PROGRESS_EVERY_S = 2.0
HEARTBEAT_EVERY_S = 5.0
LOCAL_JOURNAL_SPACING_S = 0.05
REMOTE_JOURNAL_SPACING_S = 0.2


class LakeShardWork:
    """The ``ShardWork`` that stages get in a run; a context manager around one attempt."""

    def __init__(
        self,
        run: Run,
        stage: Stage,
        plan: ShardPlan,
        records: ShardRecords,
        lease: Lease,
        engines: Engines | None,
    ) -> None:
        """Load the shard's journal; nothing else is touched until the stage asks.

        The lease must be ours already: what its last holder bought is in the journal then.
        """
        self.run = run
        self.plan = plan
        self._stage = stage
        self._records = records
        self._lease = lease
        self._stop = stop_request()
        self._engines = engines
        storage = run.lake.storage
        self.journal = Journal(
            storage,
            records.journal_folder,
            journal_spacing(storage),
            lease,
            preview_folder(run.recipe.name, stage.name),
        )
        self._scratch = run.work_dir / "shards" / f"{stage.name}-{plan.index:05d}"
        shutil.rmtree(self._scratch, ignore_errors=True)  # of an attempt that was killed
        self._scratch.mkdir(parents=True)
        self._folder = version_folder(stage.kind, stage.output, run.name)
        self._out = self._files("shards", stage)
        self._rejects = self._files("rejects", stage)
        self._model_files: tuple[FileEntry, ...] = ()
        self._rows_in = 0
        self._rejected: Counter[str] = Counter()
        self._reject_watch = RejectWatch(run, stage)
        self._metrics: dict[str, Any] = {}
        self._warnings: list[str] = []
        self._traffic: defaultdict[str, Traffic] = defaultdict(Traffic)
        self._before = _traffic_before(records) if lease.epoch > 1 else {}
        self._timeline = Timeline()
        self._tail = LiveTail(storage, records.folder)
        self._began = time.monotonic()
        curve = FigureCurve() if stage.kind == "model" else None
        self._progress = _Progress(self._write_progress, lease, self._engines_say, curve)

    def __enter__(self) -> "LakeShardWork":
        self._progress.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._progress.stop(say_more=raised[1] is not None)
        self._out.__exit__(*raised)
        self._rejects.__exit__(*raised)
        with suppress(OSError, StorageError):
            self._tail.remove()
        shutil.rmtree(self._scratch, ignore_errors=True)
        self.journal.close()

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """The input rows of the plan, in order, verified."""
        for row in rows_of(self.run.lake, self.plan.inputs, columns):
            self._may_go_on()
            yield row

    def expect(self, units: int) -> None:
        self._rows_in += units

    def emit(self, row: Row) -> None:
        self._may_go_on()
        self._out.append(row)
        self._tail.row(row)

    def reject(
        self, id: str, source_ids: Sequence[str], reason: str, original: object, detail: str = ""
    ) -> None:
        """Put a unit aside, with the original and a reason."""
        if reason not in REASONS:
            raise ValueError(f"'{reason}' is not a reason of stages.reasons.REASONS")
        self._rejected[reason] += 1
        row = {
            "id": id,
            "source_ids": list(source_ids),
            "reason": reason,
            "detail": detail,
            "original": json.dumps(original, ensure_ascii=True, default=str),
        }
        self._rejects.append(row)
        self._tail.reject(row)
        self._reject_watch.check(self._rows_in, self._out.rows, self._rejected)

    def engine(self, name: str) -> JournaledModel:
        if self._engines is None:
            raise RuntimeError(f"stage '{self._stage.name}' didn't ask for engine '{name}'")
        return self._engines.journaled(name, self.journal, self.plan.index, self._traffic[name])

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        self._may_go_on()
        self._progress.update(done, total, figures)

    def metric(self, name: str, value: object) -> None:
        self._metrics[name] = value

    def warn(self, text: str) -> None:
        """Report what a reader of the manifest should know."""
        self._warnings.append(text)

    def publish_model(self, folder: Path) -> None:
        """Upload a finished folder as the output."""
        entries = []
        for local in sorted(path for path in folder.rglob("*") if path.is_file()):
            self._lease.check()
            path = f"{self._lease.attempt}/{local.relative_to(folder).as_posix()}"
            entries.append(upload_verified(self.run.lake.storage, local, self._folder, path))
        self._model_files = tuple(entries)

    def checkpoints(self) -> Checkpoints:
        """Where another machine finds what to go on from."""
        folder, lease = self._records.checkpoint_folder, self._lease
        return Checkpoints(self.run.lake.storage, folder, lease.attempt, lease.check)

    def receipt(self, started_at: str) -> Receipt:
        """Finish the files and say what this attempt produced."""
        self._lease.check()
        files = self._model_files if self._stage.kind == "model" else self._out.finish()
        return Receipt(
            shard=self.plan.index,
            attempt=self._lease.attempt,
            epoch=self._lease.epoch,
            accounting=Accounting(
                unit=self._stage.unit,
                source_rows=self.plan.rows,
                rows_in=self._rows_in,
                rows_out=self._out.rows,
                rejected=dict(sorted(self._rejected.items())),
            ),
            files=files,
            reject_files=self._rejects.finish(),
            usage=self.journal.usage(),
            traffic=self._traffic_so_far(),
            metrics=self._metrics,
            warnings=self._all_warnings(),
            worker=self._lease.worker,
            started_at=started_at,
            ended_at=utc_now(),
        )

    def _may_go_on(self) -> None:
        self._stop.check()
        self._lease.still_ours()

    def _files(self, kind: str, stage: Stage) -> ParquetFiles:
        schema = REJECTS
        if kind == "shards" and stage.kind == "dataset":
            schema = DATASETS[stage.output].arrow
        return ParquetFiles(
            self.run.lake.storage,
            self._folder,
            f"{kind}/{self.plan.index:05d}-{self._lease.attempt}",
            schema,
            stage.rows_per_file(self.run),
            self._scratch,
        )

    def _write_progress(self, snapshot: dict[str, Any]) -> None:
        used = self.journal.usage()
        counted = list(self._traffic.copy().values())
        self._timeline.add(
            Point(
                at_s=time.monotonic() - self._began,
                done=snapshot["done"],
                answers=sum(each.answers for each in counted),
                refusals=sum(each.refusals for each in counted),
                errors=sum(each.failed_as("5xx", "4xx", "invalid") for each in counted),
                timeouts=sum(each.failed_as("timeout", "connection") for each in counted),
                usd=sum(each.usd for each in used.values()),
                latency_s=sum(each.latency_s for each in counted),
                tokens=sum(each.prompt_tokens + each.completion_tokens for each in used.values()),
            )
        )
        self._lease.check()
        self._records.write_progress(
            ShardProgress(
                worker=self._lease.worker,
                attempt=self._lease.attempt,
                epoch=self._lease.epoch,
                rejected=dict(self._rejected),
                usage=used,
                traffic=self._traffic_so_far(),
                timeline=self._timeline.to_json(),
                warnings=self._all_warnings(),
                waiting=self._engines.waiting() if self._engines else {},
                paused=self._engines.paused() if self._engines else {},
                **snapshot,
            )
        )
        self._tail.write()

    def _all_warnings(self) -> tuple[str, ...]:
        """What the stage reports, and what its engines' counters show."""
        cut = [name for name, each in self._traffic_so_far().items() if each.cut_contexts]
        return (*self._warnings, *map(cut_words, sorted(cut)))

    def _traffic_so_far(self) -> dict[str, Traffic]:
        return sum_traffic([self._before, self._traffic.copy()])

    def _engines_say(self) -> dict[str, str]:
        """Why engines wait or stand still; each change is worth a write."""
        return {**self._engines.waiting(), **self._engines.paused()} if self._engines else {}


def _traffic_before(records: ShardRecords) -> dict[str, Traffic]:
    """What earlier attempts counted, so that a shard's counters never fall."""
    progress = records.progress()
    return landed(progress.traffic) if progress is not None else {}


def journal_spacing(storage: Storage) -> float:
    """Least seconds between two writes of a journal: each costs requests on an object store."""
    return LOCAL_JOURNAL_SPACING_S if storage.local_root is not None else REMOTE_JOURNAL_SPACING_S


def rows_of(
    lake: Lake, pieces: Sequence[Slice], columns: Sequence[str] | None = None
) -> Iterator[Row]:
    """Rows of slices of published files, in order, verified; a row group in memory at a time."""
    for piece in pieces:
        version = lake.opened(piece.dataset, piece.version)
        for table in version.part(piece.file, piece.start, piece.rows, columns):
            for batch in table.to_batches(max_chunksize=256):
                yield from batch.to_pylist()


class _Progress:
    """Writes progress and renews the lease from a thread of its own: the work never waits."""

    def __init__(
        self,
        write: Callable[[dict[str, Any]], None],
        lease: Lease,
        news: Callable[[], dict[str, str]],
        curve: FigureCurve | None,
    ) -> None:
        self._write = write
        self._news = news
        self._lease = lease
        self._tick_s = min(PROGRESS_EVERY_S, lease.renew_s)
        self._state: dict[str, Any] = {"started_at": datetime.now(UTC), "done": 0, "total": None}
        self._lock = threading.Lock()
        self._curve = curve
        self._changed = True
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._loop,), name="parrot-progress", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, say_more: bool = False) -> None:
        """End the thread; with ``say_more`` what came after its last write is written as well."""
        self._stop.set()
        self._thread.join()
        if say_more and not self._lease.lost:
            self._tried(partial(self._write, self._snapshot()))

    def update(self, done: int, total: int | None, figures: dict[str, float]) -> None:
        with self._lock:
            known = total if total is not None else self._state["total"]
            news: dict[str, Any] = {"done": done, "total": known, "figures": figures}
            if figures and self._curve is not None:
                self._curve.add(done, figures)
            if done > self._state["done"]:
                news["advanced_at"] = datetime.now(UTC)
            self._state = {**self._state, **news}
            self._changed = True

    def _snapshot(self) -> dict[str, Any]:
        with self._lock:
            self._changed = False
            curve = {} if self._curve is None else {"curve": self._curve.to_json()}
            return {**self._state, **curve, "updated_at": datetime.now(UTC)}

    def _loop(self) -> None:
        written = renewed = time.monotonic()
        shown: dict[str, str] = {}
        while not self._lease.lost:
            now = time.monotonic()
            if now - renewed >= self._lease.renew_s and self._tried(self._lease.renew):
                renewed = now
            news = self._news()
            if self._changed or news != shown or now - written >= HEARTBEAT_EVERY_S:
                written, shown = now, news
                self._tried(partial(self._write, self._snapshot()))
            if self._stop.wait(self._tick_s):
                return

    def _tried(self, write: Callable[[], None]) -> bool:
        """A write that fails is tried again with the next tick; a lost lease ends the loop."""
        try:
            write()
        except LeaseLost as error:
            logger.warning("%s", error)
            return False
        except (OSError, StorageError) as error:
            logger.warning("progress of this shard could not be written: %s", error)
            return False
        return True
