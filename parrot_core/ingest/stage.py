"""The stage ``ingest``: source files to records with clean texts, a shard a file."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, ClassVar

from parrot_core.ingest.clean import Messages, clean_texts
from parrot_core.ingest.layouts import Layout, Misfit
from parrot_core.ingest.locating import SourceFile, source_files
from parrot_core.ingest.rule_log import RuleLog, merged_examples
from parrot_core.ingest.rules import mask_of
from parrot_core.ingest.sources import Source, SourceRecord, open_source
from parrot_core.lake.manifest import Receipt
from parrot_core.stage import Run, ShardPlan, ShardWork, Stage

RECORDS_AT_ONCE = 1000
"""Their texts are cleaned together."""


class IngestStage(Stage):
    """Source files to records: messages with known roles and clean texts, the unit a record.

    What concerns whole sessions is for ``assemble``, which sees all files. Row ids are ``<source
    name>:<record id>``, or ``<source name>/<file>:<record id>`` where a source has several files,
    with ``#<record index>`` behind when the record has no id or an earlier record has the same.
    ``source_ids`` is ``[<url>#<record index>]``. Metrics: ``records``, ``layouts`` (records by
    layout), ``megabytes``, ``seconds``, ``mb_per_s`` a source, ``rules`` (messages changed, by
    rule) and ``examples`` of them.
    """

    name = "ingest"
    output = "records"
    unit: ClassVar[str] = "record"

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Take another clock, for tests."""
        self._clock = clock

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard a source file; each is opened and its layout recognised, so that a wrong
        source ends the run before it starts.
        """
        files = source_files(run.recipe.ingest)
        for file in files:
            with open_source(file.url, file.layout):
                pass
        return [ShardPlan(index, params=asdict(file)) for index, file in enumerate(files)]

    def rows_per_file(self, run: Run) -> int:
        """As the recipe says."""
        return run.recipe.ingest.rows_per_file

    def process(self, work: ShardWork) -> None:
        """Read one file in one pass; each record becomes a row or a reject."""
        file = SourceFile(**work.plan.params)
        started = self._clock()
        with open_source(file.url, file.layout) as source:
            intake = _Intake(work, file, source.layout)
            for record in islice(source, file.limit):
                intake.take(record, source.url)
                work.progress(intake.records, _expected(source, file.limit))
            intake.flush()
            megabytes = source.bytes_read / 1e6
        for warning in source.warnings:
            work.warn(warning)
        if not intake.records:
            work.warn(f"{source.url}: holds no record")
        work.progress(intake.records, intake.records)
        seconds = self._clock() - started
        work.metric("records", intake.records)
        work.metric("layouts", {source.layout.name: intake.records})
        work.metric("megabytes", round(megabytes, 3))
        work.metric("seconds", round(seconds, 3))
        work.metric("mb_per_s", {file.source: round(megabytes / max(seconds, 1e-9), 2)})
        for name, value in intake.log.metrics().items():
            work.metric(name, value)

    def summarise(self, run: Run, receipts: Sequence[Receipt]) -> dict[str, Any] | None:
        """Sums over the files; of examples no more than one file's number."""
        parts = [receipt.metrics for receipt in receipts]
        rules: Counter[str] = Counter()
        layouts: Counter[str] = Counter()
        for metrics in parts:
            rules.update(metrics["rules"])
            layouts.update(metrics["layouts"])
        totals = {
            name: round(sum(metrics[name] for metrics in parts), 3)
            for name in ("records", "megabytes", "seconds")
        }
        return {
            **totals,
            "layouts": dict(sorted(layouts.items())),
            "mb_per_s": {name: v for m in parts for name, v in m["mb_per_s"].items()},
            "rules": dict(sorted(rules.items())),
            "examples": merged_examples(parts),
        }


class _Intake:
    """What one pass over a source has seen: ids, and what the rules did."""

    def __init__(self, work: ShardWork, file: SourceFile, layout: Layout) -> None:
        self.records = 0
        self._settings = work.run.recipe.ingest
        self.log = RuleLog(mask_of(self._settings))
        self._work = work
        self._source = file.source
        self._prefix = file.prefix or file.source
        self._layout = layout
        self._ids: set[bytes] = set()
        self._waiting: list[tuple[SourceRecord, str, list[str], Messages]] = []

    def take(self, record: SourceRecord, url: str) -> None:
        """Emit or reject one record."""
        self.records += 1
        self._work.expect(1)
        row_id = self._row_id(record)
        source_ids = [f"{url}#{record.index}"]
        read = Misfit(record.problem) if record.problem else self._layout.read(record.record)
        if isinstance(read, Misfit):
            reason = "malformed_record"
            self._work.reject(row_id, source_ids, reason, record.record, read.why)
            return
        if not read:
            self._work.reject(row_id, source_ids, "no_turns", record.record)
            return
        self._waiting.append((record, row_id, source_ids, read))
        if len(self._waiting) >= RECORDS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Clean and emit the records that wait."""
        batch, self._waiting = self._waiting, []
        texts = [(row_id, messages) for _, row_id, _, messages in batch]
        cleaned = clean_texts(texts, self._settings, self.log)
        for (record, row_id, source_ids, _), messages in zip(batch, cleaned, strict=True):
            self._emit(record, row_id, source_ids, messages)

    def _emit(
        self, record: SourceRecord, row_id: str, source_ids: list[str], messages: Messages
    ) -> None:
        own_id = self._layout.record_id(record.record)
        session = self._layout.session_of(own_id or f"{self._prefix}#{record.index}")
        self._work.emit(
            {
                "id": row_id,
                "source_ids": source_ids,
                "language": None,
                "source": self._source,
                "record_index": record.index,
                "session": session.base,
                "part": session.part is not None,
                "first_message": session.part or 0,
                "messages": messages,
            }
        )

    def _row_id(self, record: SourceRecord) -> str:
        own_id = None if record.problem else self._layout.record_id(record.record)
        row_id = f"{self._prefix}:{own_id or f'#{record.index}'}"
        while (digest := _digest(row_id)) in self._ids:
            row_id += f"#{record.index}"
        self._ids.add(digest)
        return row_id


def _expected(source: Source, limit: int | None) -> int | None:
    """Records that will have been taken in at the source's end, as far as that can be reckoned."""
    reckoned = source.records_expected()
    if reckoned is None or limit is None:
        return limit if reckoned is None else reckoned
    return min(reckoned, limit)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=16).digest()
