"""The stages ``ingest``, source records to conversations, and ``seeds``, opening queries."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import ClassVar

from parrot_core.engines.types import Message
from parrot_core.filters import first_failure
from parrot_core.ingest.clean import CleanSession, Rejection, clean
from parrot_core.ingest.language import (
    FastTextDetector,
    Guess,
    LanguageDetector,
    session_language,
)
from parrot_core.ingest.layouts import Layout
from parrot_core.ingest.locating import SourceFile, source_files
from parrot_core.ingest.sources import Source, SourceRecord, open_source
from parrot_core.ingest.splits import split_of, unit_hash
from parrot_core.recipe import Recipe
from parrot_core.stage import Row, Run, ShardPlan, ShardWork, Slice, Stage


class IngestStage(Stage):
    """Source files to clean sessions, each in its split; a shard a file, the unit a record.

    Row ids are ``<source name>:<record id>``, or ``<source name>/<file>:<record id>`` where a
    source has several files, with ``#<record index>`` behind when the record has no id or an
    earlier record has the same. ``source_ids`` is ``[<url>#<record index>]``.
    Metrics: ``records``, ``layouts`` (records by layout), ``megabytes``, ``seconds``, ``mb_per_s``
    a source, ``languages`` (sessions seen by language), ``mended`` (sessions changed, by rule),
    ``splits`` (sessions kept, by split).
    """

    name = "ingest"
    output = "conversations"
    unit: ClassVar[str] = "record"

    def __init__(
        self,
        detector: Callable[[], LanguageDetector] = FastTextDetector,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Take other ways to tell a language and the time, for tests."""
        self._detector = detector
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
        """Read one file in one pass; each record becomes a session or a reject."""
        file = SourceFile(**work.plan.params)
        started = self._clock()
        with open_source(file.url, file.layout) as source:
            intake = _Intake(work, file, source.layout, self._detector())
            for record in islice(source, file.limit):
                intake.take(record, source.url)
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
        for name, counter in intake.counters.items():
            work.metric(name, dict(counter.most_common()))


class _Intake:
    """What one pass over a source has seen: ids, contents, and counts for the metrics."""

    def __init__(
        self, work: ShardWork, file: SourceFile, layout: Layout, detector: LanguageDetector
    ) -> None:
        self.records = 0
        self.counters: dict[str, Counter[str]] = {
            "languages": Counter(),
            "mended": Counter(),
            "splits": Counter(),
        }
        self._work = work
        self._recipe = work.run.recipe
        self._source = file.source
        self._prefix = file.prefix or file.source
        self._layout = layout
        self._detector = detector
        self._ids: set[bytes] = set()
        self._contents: dict[bytes, int] = {}

    def take(self, record: SourceRecord, url: str) -> None:
        """Emit or reject one record."""
        self.records += 1
        self._work.expect(1)
        row_id = self._row_id(record)
        source_ids = [f"{url}#{record.index}"]
        outcome = self._examine(record)
        if isinstance(outcome, Rejection):
            self._work.reject(row_id, source_ids, outcome.reason, record.record, outcome.detail)
            return
        session, language = outcome
        self.counters["mended"].update(session.mended)
        row = self._row(record, session)
        self.counters["splits"][str(row["split"])] += 1
        self._work.emit({"id": row_id, "source_ids": source_ids, "language": language, **row})

    def _examine(self, record: SourceRecord) -> Rejection | tuple[CleanSession, str | None]:
        if record.problem:
            return Rejection("malformed_record", record.problem)
        session = clean(record.record, self._recipe.ingest, self._layout)
        if isinstance(session, Rejection):
            return session
        guess = session_language(session.messages, self._detector)
        language = guess.code if guess else None
        self.counters["languages"][language or "unknown"] += 1
        if refusal := _refused_language(guess, self._recipe.ingest.languages):
            return refusal
        digest = _content_digest(session.messages)
        first = self._contents.setdefault(digest, record.index)
        if first != record.index:
            return Rejection("duplicate", f"the same messages as record {first}")
        return session, language

    def _row(self, record: SourceRecord, session: CleanSession) -> Row:
        settings = self._recipe.ingest
        own_id = self._layout.record_id(record.record)
        whole_id = own_id or f"{self._prefix}#{record.index}"
        session_id = self._layout.session_of(whole_id)
        return {
            "split": split_of(
                self._recipe.seed,
                session_id.base,
                settings.heldout_fraction,
                settings.seed_fraction,
            ),
            "source": self._source,
            "record_index": record.index,
            "messages": list(session.messages),
            "n_turns": session.turns,
            "opens_session": session_id.opens_session
            and "drop_leading_assistant" not in session.mended,
        }

    def _row_id(self, record: SourceRecord) -> str:
        own_id = None if record.problem else self._layout.record_id(record.record)
        row_id = f"{self._prefix}:{own_id or f'#{record.index}'}"
        while (digest := _digest(row_id)) in self._ids:
            row_id += f"#{record.index}"
        self._ids.add(digest)
        return row_id


class SeedsStage(Stage):
    """Opening queries of the sessions in split ``seed``: what new dialogues start from.

    Candidates are the sessions of that split that begin at their real beginning (not a later
    part of a split session). They are looked at in the order of a hash of seed and id, until the
    recipe's number of usable ones is found. Taken in, and so counted, is what was looked at.
    A query that ``filter`` would throw out is rejected here, before answers to it are bought.
    """

    name = "seeds"
    output = "seeds"
    inputs = ("conversations",)

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard over all files, since the order of choice goes across them."""
        version = run.version_of("conversations")
        files = run.lake.dataset("conversations", version).manifest.files
        slices = [
            Slice("conversations", version, position, 0, entry.rows)
            for position, entry in enumerate(files)
        ]
        return [ShardPlan(0, tuple(slices))]

    def process(self, work: ShardWork) -> None:
        """Choose, check, and emit in the order of choice."""
        recipe = work.run.recipe
        candidates = sorted(_candidates(work.rows(), recipe.seed))
        seen: dict[bytes, str] = {}
        usable = 0
        for candidate in candidates:
            if usable == recipe.seeds.limit:
                break
            work.expect(1)
            failure = _unusable(candidate.query, recipe, seen)
            row = {
                "id": candidate.id,
                "source_ids": [candidate.id],
                "language": candidate.language,
                "query": candidate.query,
            }
            if failure:
                work.reject(candidate.id, [candidate.id], failure.reason, row, failure.detail)
                continue
            seen[_query_digest(candidate.query)] = candidate.id
            usable += 1
            work.emit(row)
            work.progress(usable, recipe.seeds.limit)
        work.progress(usable, usable)
        work.metric("candidates", len(candidates))
        if usable < recipe.seeds.limit:
            work.warn(
                f"{usable:,} usable seeds among {len(candidates):,} sessions, fewer than the "
                f"{recipe.seeds.limit:,} asked for"
            )


@dataclass(frozen=True, slots=True, order=True)
class _Candidate:
    order: float
    id: str
    language: str | None
    query: str


def _candidates(rows: Iterator[Row], seed: int) -> Iterator[_Candidate]:
    for row in rows:
        if row["split"] == "seed" and row["opens_session"]:
            query = row["messages"][0]["content"]
            yield _Candidate(unit_hash(seed, row["id"]), row["id"], row["language"], query)


def _unusable(query: str, recipe: Recipe, seen: dict[bytes, str]) -> Rejection | None:
    settings = recipe.seeds
    if len(query) < settings.min_chars:
        return Rejection("query_too_short", f"{len(query)} of {settings.min_chars} characters")
    if len(query) > settings.max_chars:
        return Rejection("query_too_long", f"{len(query):,} of {settings.max_chars:,} characters")
    if same := seen.get(_query_digest(query)):
        return Rejection("duplicate", f"the same query as {same}")
    if failure := first_failure(query, (), recipe.filter):
        return Rejection(*failure)
    return None


def _refused_language(guess: Guess | None, kept: Sequence[str]) -> Rejection | None:
    if not kept or (guess and guess.code in kept):
        return None
    found = f"{guess.code} ({guess.confidence:.2f})" if guess else "no words outside code"
    return Rejection("language", f"found {found}, expected {', '.join(kept)}")


def _expected(source: Source, limit: int | None) -> int | None:
    """Records that will have been taken in at the source's end, as far as that can be reckoned."""
    reckoned = source.records_expected()
    if reckoned is None or limit is None:
        return limit if reckoned is None else reckoned
    return min(reckoned, limit)


def _content_digest(messages: Sequence[Message]) -> bytes:
    """A hash that ignores case and spacing."""
    return _digest("\0".join(" ".join(m["content"].casefold().split()) for m in messages))


def _query_digest(query: str) -> bytes:
    return _digest(" ".join(query.casefold().split()))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=16).digest()
