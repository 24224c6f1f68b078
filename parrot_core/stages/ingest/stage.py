"""The stage ``ingest``: source files to records with clean texts, a shard a file."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, ClassVar, TypeAlias

from parrot_core.lake.manifest import Receipt
from parrot_core.lake.run import Run
from parrot_core.recipe import Recipe
from parrot_core.stages.base import ShardPlan, ShardWork, Stage
from parrot_core.stages.ingest.clean import Messages, clean_texts
from parrot_core.stages.ingest.hash_set import HashSet
from parrot_core.stages.ingest.layouts import Misfit
from parrot_core.stages.ingest.layouts.layout import SessionId
from parrot_core.stages.ingest.locating import SourceFile, source_files
from parrot_core.stages.ingest.rule_log import RuleLog, merged_examples
from parrot_core.stages.ingest.rules import mask_of
from parrot_core.stages.ingest.sources import OpenSource, SourceRecord, open_source
from parrot_core.text.text_hash import text_hash

RECORDS_AT_ONCE = 500
CHARS_AT_ONCE = 1 << 21
"""Texts of so many records, or characters, are cleaned together; progress is told after each."""


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

    def lacks(self, recipe: Recipe) -> str:
        """Sources."""
        return "" if recipe.ingest.sources else "ingest.sources"

    def rows_per_file(self, run: Run) -> int:
        """As the recipe says."""
        return run.recipe.ingest.rows_per_file

    def process(self, work: ShardWork) -> None:
        """Read one file in one pass; each record becomes a row or a reject."""
        file = SourceFile(**work.plan.params)
        started = self._clock()
        settings = work.run.recipe.ingest
        with open_source(file.url, file.layout) as source:
            intake = _Intake(work, file, source)
            for records, messages in intake.batches():
                intake.emit(records, clean_texts(messages, settings, intake.log))
                work.progress(intake.records, _expected(source, file.limit))
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


@dataclass(frozen=True, slots=True)
class _IngestRecord:
    """What is known of a record beside its messages."""

    id: str
    source_ids: list[str]
    index: int
    session: SessionId


_Batch: TypeAlias = tuple[list[_IngestRecord], list[tuple[str, Messages]]]


class _Intake:
    """What one pass over a source has seen: ids, and what the rules did."""

    def __init__(self, work: ShardWork, file: SourceFile, source: OpenSource) -> None:
        self.records = 0
        self.log = RuleLog(mask_of(work.run.recipe.ingest))
        self._work = work
        self._file = file
        self._prefix = file.prefix or file.source
        self._opened = source
        self._layout = source.layout
        self._ids = HashSet()

    def batches(self) -> Iterator[_Batch]:
        """Yield what the source holds; what is no record is rejected on the way."""
        records: list[_IngestRecord] = []
        texts: list[tuple[str, Messages]] = []
        chars = 0
        for record in islice(self._opened, self._file.limit):
            if (taken := self._take(record)) is not None:
                known, messages = taken
                records.append(known)
                texts.append((known.id, messages))
                chars += sum(len(message["content"]) for message in messages)
            if self.records % RECORDS_AT_ONCE == 0 or chars >= CHARS_AT_ONCE:
                yield records, texts
                records, texts, chars = [], [], 0
        if records:
            yield records, texts

    def _take(self, record: SourceRecord) -> tuple[_IngestRecord, Messages] | None:
        """Read one record, or reject it."""
        self.records += 1
        self._work.expect(1)
        row_id, session = self._named(record)
        source_ids = [f"{self._opened.url}#{record.index}"]
        read = Misfit(record.problem) if record.problem else self._layout.read(record.record)
        if isinstance(read, Misfit):
            reason = "malformed_record"
            self._work.reject(row_id, source_ids, reason, record.record, read.why)
            return None
        if not read:
            self._work.reject(row_id, source_ids, "no_turns", record.record)
            return None
        return _IngestRecord(row_id, source_ids, record.index, session), read

    def emit(self, records: Sequence[_IngestRecord], texts: Sequence[Messages]) -> None:
        """Emit the records of a batch with their clean texts."""
        for record, messages in zip(records, texts, strict=True):
            self._work.emit(
                {
                    "id": record.id,
                    "source_ids": record.source_ids,
                    "language": None,
                    "source": self._file.source,
                    "record_index": record.index,
                    "session": record.session.base,
                    "part": record.session.part is not None,
                    "first_message": record.session.part or 0,
                    "messages": messages,
                }
            )

    def _named(self, record: SourceRecord) -> tuple[str, SessionId]:
        """An id that no record before has, and the session that the record's own id tells."""
        own_id = None if record.problem else self._layout.record_id(record.record)
        row_id = f"{self._prefix}:{own_id or f'#{record.index}'}"
        while not self._ids.add(text_hash(row_id)):
            row_id += f"#{record.index}"
        return row_id, self._layout.session_of(own_id or f"{self._prefix}#{record.index}")


def _expected(source: OpenSource, limit: int | None) -> int | None:
    """Records that will have been taken in at the source's end, as far as that can be reckoned."""
    reckoned = source.records_expected()
    if reckoned is None or limit is None:
        return limit if reckoned is None else reckoned
    return min(reckoned, limit)
