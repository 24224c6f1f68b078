"""The stage ``ingest``: source files to records with clean texts, a shard a file."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, ClassVar, TypeAlias

from parrot_core.errors import SourceError
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.metrics import RecordsMetrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.recipe import Ingest, Recipe
from parrot_core.stages.base import ShardWork, Stage
from parrot_core.stages.ingest.clean import Messages, clean_texts
from parrot_core.stages.ingest.containers import EmptySource
from parrot_core.stages.ingest.hash_set import HashSet
from parrot_core.stages.ingest.layouts import Misfit, Reading
from parrot_core.stages.ingest.layouts.layout import SessionId
from parrot_core.stages.ingest.locating import SourceFile, source_files
from parrot_core.stages.ingest.names import check_names
from parrot_core.stages.ingest.rule_log import RuleLog, merged_examples
from parrot_core.stages.ingest.sources import (
    OpenSource,
    SourceRecord,
    UnreadableMember,
    open_documents,
)
from parrot_core.text.text_hash import text_hash

RECORDS_AT_ONCE = 500
CHARS_AT_ONCE = 1 << 21
"""Texts of so many records, or characters, are cleaned together; progress is told after each."""


class IngestStage(Stage):
    """Source files to records: messages with known roles and clean texts, the unit a record.

    What concerns whole sessions is for ``assemble``, which sees all files. Row ids are ``<source
    name>:<record id>``, or ``<source name>/<file>:<record id>`` where a source has several files,
    with ``#<record index>`` behind when the record has no id or an earlier record has the same.
    ``source_ids`` is ``[<url>#<record index>]``. For a file in an archive, ``<file>`` has
    ``/<path>`` behind it and ``<url>`` has ``!<path>``. A file that can't be read is one reject.

    Metrics: ``records``, ``layouts`` (records by layout), ``passed_over`` (files that aren't data,
    by what they are), ``turns`` (tools' messages, and turns dropped for them), ``megabytes``,
    ``seconds``, ``mb_per_s`` a source, ``rules`` (messages changed, by rule), ``examples`` of them.
    """

    name = "ingest"
    output = "records"
    only_for = "conversations"
    metrics = RecordsMetrics
    settings_read = ("ingest",)
    summary = "Source records, their texts cleaned and masked."
    unit: ClassVar[str] = "record"

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard a source file; each is opened and its layout recognised, so that a wrong
        source ends the run before it starts: one without any file that can be read, or with any
        that can't if the recipe says so.
        """
        settings = run.recipe.ingest
        check_names(settings)
        files = source_files(settings)
        found = [fault for file in files if (fault := _fault(file)) is not None]
        faults = [fault for fault in found if not isinstance(fault, EmptySource)]
        if len(found) == len(files) or (faults and settings.on_unreadable == "stop"):
            first, *others = faults or found
            more = f" (and {len(others):,} more can't be read)" if others else ""
            raise SourceError(f"{first}{more}")
        return [ShardPlan(index, params=asdict(file)) for index, file in enumerate(files)]

    def lacks(self, recipe: Recipe) -> str:
        return "" if recipe.ingest.sources else "ingest.sources"

    def rows_per_file(self, run: Run) -> int:
        return run.recipe.ingest.rows_per_file

    def process(self, work: ShardWork) -> None:
        """Read one file in one pass; each record becomes a row or a reject."""
        file = SourceFile(**work.plan.params)
        started = self._clock()
        settings = work.run.recipe.ingest
        reading = _reading(settings)
        intake = _Intake(work, file)
        passed: Counter[str] = Counter(file.passed_over)
        layouts: Counter[str] = Counter()
        megabytes = 0.0
        try:
            for document in open_documents(file.url, file.layout, reading, passed):
                if isinstance(document, UnreadableMember):
                    intake.refuse(document.member, document.why)
                    continue
                with document as source:
                    before = intake.records
                    for records, messages in intake.batches(source):
                        intake.emit(records, clean_texts(messages, settings, intake.log))
                        work.progress(intake.records, _expected(source, file.limit))
                    megabytes += source.bytes_read / 1e6
                layouts[source.layout.name] += intake.records - before
                for warning in source.warnings:
                    work.warn(warning)
        except EmptySource:
            passed["empty"] += 1
        except SourceError as error:
            if settings.on_unreadable == "stop":
                raise
            intake.refuse("", str(error).removeprefix(f"{file.url}: "))
        if not intake.records:
            work.warn(f"{file.url}: holds no record")
        work.progress(intake.records, intake.records)
        seconds = self._clock() - started
        work.metric("records", intake.records)
        work.metric("layouts", dict(sorted(layouts.items())))
        work.metric("passed_over", dict(sorted(passed.items())))
        work.metric("turns", dict(sorted(reading.counts.items())))
        work.metric("megabytes", round(megabytes, 3))
        work.metric("seconds", round(seconds, 3))
        work.metric("mb_per_s", {file.source: round(megabytes / max(seconds, 1e-9), 2)})
        for name, value in intake.log.metrics().items():
            work.metric(name, value)

    def summarise(self, run: Run, receipts: Sequence[Receipt]) -> dict[str, Any] | None:
        """Sums over the files; of examples no more than one file's number."""
        parts = [receipt.metrics for receipt in receipts]
        counts = {
            name: sum((Counter(metrics.get(name, {})) for metrics in parts), Counter[str]())
            for name in ("layouts", "passed_over", "turns", "rules")
        }
        totals = {
            name: round(sum(metrics[name] for metrics in parts), 3)
            for name in ("records", "megabytes", "seconds")
        }
        return {
            **totals,
            "mb_per_s": {name: v for m in parts for name, v in m["mb_per_s"].items()},
            **{name: dict(sorted(counter.items())) for name, counter in counts.items()},
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

    def __init__(self, work: ShardWork, file: SourceFile) -> None:
        self.records = 0
        self.log = RuleLog()
        self._work = work
        self._file = file
        self._ids = HashSet()
        self._in_use = ""  # what ids begin with

    def refuse(self, member: str, why: str) -> None:
        """Reject a whole file, or one of an archive's."""
        self.records += 1
        self._work.expect(1)
        prefix, url = self._prefix(member), f"{self._file.url}{f'!{member}' if member else ''}"
        row_id = self._unique(f"{prefix}:file", "#file")
        self._work.reject(row_id, [url], "unreadable_file", url, why)
        self._work.warn(f"{url}: {why}; rejected, the other files are read")

    def batches(self, source: OpenSource) -> Iterator[_Batch]:
        """Yield what a source holds; what is no record is rejected on the way."""
        left = None if self._file.limit is None else max(0, self._file.limit - self.records)
        self._in_use = self._prefix(source.member)
        records: list[_IngestRecord] = []
        texts: list[tuple[str, Messages]] = []
        chars = 0
        for record in islice(source, left):
            if (taken := self._take(source, record)) is not None:
                known, messages = taken
                records.append(known)
                texts.append((known.id, messages))
                chars += sum(len(message["content"]) for message in messages)
            if self.records % RECORDS_AT_ONCE == 0 or chars >= CHARS_AT_ONCE:
                yield records, texts
                records, texts, chars = [], [], 0
        if records:
            yield records, texts

    def _take(
        self, source: OpenSource, record: SourceRecord
    ) -> tuple[_IngestRecord, Messages] | None:
        self.records += 1
        self._work.expect(1)
        row_id, session = self._named(source, record)
        source_ids = [f"{source.url}#{record.index}"]
        read = Misfit(record.problem) if record.problem else source.read(record.record)
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

    def _named(self, source: OpenSource, record: SourceRecord) -> tuple[str, SessionId]:
        """An id that no record before has, and the session that the record's own id tells."""
        prefix, index = self._in_use, f"#{record.index}"
        own_id = None if record.problem else source.layout.record_id(record.record)
        row_id = self._unique(f"{prefix}:{own_id or index}", index)
        if own_id is None:
            return row_id, SessionId(f"{prefix}{index}", None)
        return row_id, source.layout.session_of(own_id)

    def _prefix(self, member: str) -> str:
        prefix = self._file.prefix or self._file.source
        return f"{prefix}/{member}" if member else prefix

    def _unique(self, row_id: str, more: str) -> str:
        while not self._ids.add(text_hash(row_id)):
            row_id += more
        return row_id


def _reading(settings: Ingest) -> Reading:
    speakers = {name.strip().lower(): role for name, role in settings.speakers.items()}
    return Reading(speakers, settings.tool_turns, settings.tree_paths)


def _fault(file: SourceFile) -> SourceError | None:
    """Why nothing of a file can be read, which one look at its beginning tells."""
    fault = None
    try:
        for document in open_documents(file.url, file.layout):
            if not isinstance(document, UnreadableMember):
                document.close()
                return None
            fault = fault or SourceError(f"{file.url}!{document.member}: {document.why}")
    except SourceError as error:
        return error
    return fault or EmptySource(f"{file.url}: an archive without data")


def _expected(source: OpenSource, limit: int | None) -> int | None:
    """Records that will have been taken in at the source's end, as far as that can be reckoned."""
    reckoned = source.records_expected()
    if reckoned is None or limit is None:
        return limit if reckoned is None else reckoned
    return min(reckoned, limit)
