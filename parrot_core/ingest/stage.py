"""The stage ``ingest``: source files to records with clean texts, a shard a file."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar

from parrot_core.ingest import sharegpt
from parrot_core.ingest.clean import Messages, Rejection, clean_texts, read_messages
from parrot_core.ingest.rule_log import RuleLog, merged_examples
from parrot_core.ingest.rules import mask_of
from parrot_core.ingest.sources import Source, SourceRecord, expand_sources, open_source
from parrot_core.lake.manifest import Receipt
from parrot_core.recipe import Ingest, Recipe
from parrot_core.stage import Run, ShardPlan, ShardWork, Stage

RECORDS_AT_ONCE = 1000
"""Their texts are cleaned together."""


class IngestStage(Stage):
    """Source files to records: messages with known roles and clean texts, the unit a record.

    What concerns whole sessions is for ``assemble``, which sees all files. Row ids are ``<source
    name>:<record id>``, with ``#<record index>`` behind when the record has no id or an earlier
    record has the same. ``source_ids`` is ``[<url>#<record index>]``. Metrics: ``records``,
    ``megabytes``, ``seconds``, ``mb_per_s`` a source, ``rules`` (messages changed, by rule) and
    ``examples`` of them.
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
        urls = expand_sources(run.recipe.ingest.sources)
        for url in urls:
            with open_source(url):
                pass
        named = zip(urls, _names(urls), strict=True)
        return [
            ShardPlan(index, params={"url": url, "source": name})
            for index, (url, name) in enumerate(named)
        ]

    def rows_per_file(self, run: Run) -> int:
        """As the recipe says."""
        return run.recipe.ingest.rows_per_file

    def process(self, work: ShardWork) -> None:
        """Read one file in one pass; each record becomes a row or a reject."""
        recipe = work.run.recipe
        started = self._clock()
        intake = _Intake(work, recipe, str(work.plan.params["source"]))
        with open_source(str(work.plan.params["url"])) as source:
            for record in source:
                if recipe.ingest.limit is not None and record.index >= recipe.ingest.limit:
                    break
                intake.take(record, source.url)
                work.progress(intake.records, _expected(source, intake.records, recipe.ingest))
            intake.flush()
            megabytes = source.bytes_read / 1e6
        for warning in source.warnings:
            work.warn(warning)
        if not intake.records:
            work.warn(f"{source.url}: holds no record")
        work.progress(intake.records, intake.records)
        seconds = self._clock() - started
        work.metric("records", intake.records)
        work.metric("megabytes", round(megabytes, 3))
        work.metric("seconds", round(seconds, 3))
        work.metric("mb_per_s", {intake.source: round(megabytes / max(seconds, 1e-9), 2)})
        for name, value in intake.log.metrics().items():
            work.metric(name, value)

    def summarise(self, run: Run, receipts: Sequence[Receipt]) -> dict[str, Any] | None:
        """Sums over the files; of examples no more than one file's number."""
        parts = [receipt.metrics for receipt in receipts]
        rules: Counter[str] = Counter()
        for metrics in parts:
            rules.update(metrics["rules"])
        totals = {
            name: round(sum(metrics[name] for metrics in parts), 3)
            for name in ("records", "megabytes", "seconds")
        }
        return {
            **totals,
            "mb_per_s": {name: v for m in parts for name, v in m["mb_per_s"].items()},
            "rules": dict(sorted(rules.items())),
            "examples": merged_examples(parts),
        }


class _Intake:
    """What one pass over a source has seen: ids, and what the rules did."""

    def __init__(self, work: ShardWork, recipe: Recipe, source: str) -> None:
        self.source = source
        self.records = 0
        self.log = RuleLog(mask_of(recipe.ingest))
        self._work = work
        self._recipe = recipe
        self._ids: set[bytes] = set()
        self._waiting: list[tuple[SourceRecord, str, list[str], Messages]] = []

    def take(self, record: SourceRecord, url: str) -> None:
        """Emit or reject one record."""
        self.records += 1
        self._work.expect(1)
        row_id = self._row_id(record)
        source_ids = [f"{url}#{record.index}"]
        messages = (
            Rejection("malformed_record", record.problem)
            if record.problem
            else read_messages(record.record)
        )
        if isinstance(messages, Rejection):
            self._work.reject(row_id, source_ids, messages.reason, record.record, messages.detail)
            return
        self._waiting.append((record, row_id, source_ids, messages))
        if len(self._waiting) >= RECORDS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Clean and emit the records that wait."""
        batch, self._waiting = self._waiting, []
        texts = [(row_id, messages) for _, row_id, _, messages in batch]
        cleaned = clean_texts(texts, self._recipe.ingest, self.log)
        for (record, row_id, source_ids, _), messages in zip(batch, cleaned, strict=True):
            self._emit(record, row_id, source_ids, messages)

    def _emit(
        self, record: SourceRecord, row_id: str, source_ids: list[str], messages: Messages
    ) -> None:
        own_id = sharegpt.record_id(record.record)
        session = sharegpt.parse_id(own_id or f"{self.source}#{record.index}")
        self._work.emit(
            {
                "id": row_id,
                "source_ids": source_ids,
                "language": None,
                "source": self.source,
                "record_index": record.index,
                "session": session.base,
                "part": session.part is not None,
                "first_message": session.part or 0,
                "messages": messages,
            }
        )

    def _row_id(self, record: SourceRecord) -> str:
        own_id = None if record.problem else sharegpt.record_id(record.record)
        row_id = f"{self.source}:{own_id or f'#{record.index}'}"
        while (digest := _digest(row_id)) in self._ids:
            row_id += f"#{record.index}"
        self._ids.add(digest)
        return row_id


def _expected(source: Source, records: int, settings: Ingest) -> int | None:
    """Records the source will have given at its end, reckoned from the bytes read so far."""
    if not source.total_bytes or not source.bytes_read:
        return settings.limit
    reckoned = max(records, round(records * source.total_bytes / source.bytes_read))
    return reckoned if settings.limit is None else min(reckoned, settings.limit)


def _names(urls: Sequence[str]) -> list[str]:
    """A short name for each file: its stem, numbered where two files share it."""
    names: list[str] = []
    taken: Counter[str] = Counter()
    for url in urls:
        stem = PurePosixPath(url.split("::")[0]).name.partition(".")[0] or "source"
        taken[stem] += 1
        names.append(stem if taken[stem] == 1 else f"{stem}~{taken[stem]}")
    return names


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=16).digest()
