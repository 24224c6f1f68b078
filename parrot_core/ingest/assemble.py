"""The stage ``assemble``: records to clean sessions, each once, each in its split."""

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby, islice
from typing import ClassVar

from parrot_core.engines.types import Message
from parrot_core.evaluation.benchmark import load_benchmark
from parrot_core.ingest.clean import CleanSession, Rejection, check, settle
from parrot_core.ingest.contamination import Benchmark
from parrot_core.ingest.distinct import Distinct, Session
from parrot_core.ingest.language import (
    FastTextDetector,
    Guess,
    LanguageDetector,
    session_language,
)
from parrot_core.ingest.parts import Joined, Part, join
from parrot_core.ingest.rule_log import RuleLog
from parrot_core.ingest.rules import mask_of
from parrot_core.ingest.shingles import Shingler
from parrot_core.ingest.splits import split_of
from parrot_core.ingest.spool import Spool
from parrot_core.recipe import Recipe, SessionCheck
from parrot_core.stage import Row, Run, ShardPlan, ShardWork, Slice, Stage

SESSIONS_AT_ONCE = 1000
"""They are checked together."""


class AssembleStage(Stage):
    """Joins parts, applies the session rules, drops duplicates and gives each group its split.

    One shard over all files, since a session's parts, and what is like it, may be in any of them.
    Texts wait in files on the local disk; about one kilobyte a session is held in memory. Which
    sessions stay, and in which split, depends on the records and the seed, not on files or order.
    A row's id is that of its first record, ``source_ids`` names all its records.

    Metrics: ``joined`` (sessions of several records, and these records), ``languages`` (sessions
    seen), ``splits``, ``sources`` and ``flags`` (sessions kept), ``groups``, ``rules`` (sessions
    changed) and ``examples`` of them.
    """

    name = "assemble"
    output = "conversations"
    inputs = ("records",)
    unit: ClassVar[str] = "session"

    def __init__(self, detector: Callable[[], LanguageDetector] = FastTextDetector) -> None:
        """Take another way to tell a language, for tests."""
        self._detector = detector

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard over all files."""
        version = run.version_of("records")
        files = run.lake.dataset("records", version).manifest.files
        slices = [Slice("records", version, i, 0, entry.rows) for i, entry in enumerate(files)]
        return [ShardPlan(0, tuple(slices))]

    def rows_per_file(self, run: Run) -> int:
        """As the recipe says."""
        return run.recipe.ingest.rows_per_file

    def process(self, work: ShardWork) -> None:
        """Join and settle every session, find those alike, then emit in the order of the files."""
        folder = work.run.work_dir / self.name
        with ExitStack() as stack:
            records = stack.enter_context(Spool(folder))
            texts = stack.enter_context(Spool(folder))
            assembly = _Assembly(work, texts, self._detector())
            sessions = _sessions(work, records)
            while batch := list(islice(sessions, SESSIONS_AT_ONCE)):
                assembly.take(batch)
            assembly.emit()


class _Assembly:
    """Sessions on their way from their records to the output."""

    def __init__(self, work: ShardWork, texts: Spool, detector: LanguageDetector) -> None:
        self._work = work
        self._recipe = work.run.recipe
        self._texts = texts
        self._detector = detector
        self._log = RuleLog(mask_of(self._recipe.ingest))
        self._languages: Counter[str] = Counter()
        self._joined: Counter[str] = Counter(sessions=0, records=0)
        self._sessions: list[Session] = []
        self._records = 0
        shingler = Shingler()
        self._distinct = Distinct(
            self._recipe.ingest.near_duplicates,
            shingler,
            texts.read,
            _benchmark(self._recipe, shingler),
        )

    def take(self, batch: Sequence[Joined]) -> None:
        """Settle some sessions; what is rejected now is in no comparison."""
        settings = self._recipe.ingest
        settled: list[tuple[Joined, CleanSession]] = []
        for joined in batch:
            self._work.expect(1)
            self._records += len(joined.parts)
            if len(joined.parts) > 1:
                self._joined.update(sessions=1, records=len(joined.parts))
            session = settle(joined.messages, settings, self._log, joined.parts[0].id)
            if isinstance(session, Rejection):
                self._reject(joined, session)
            else:
                settled.append((joined, session))
        found = check([session.messages for _, session in settled], settings)
        for (joined, session), findings in zip(settled, found, strict=True):
            self._keep(joined, session, findings)
        self._work.progress(self._records, self._work.plan.rows)

    def _keep(
        self, joined: Joined, session: CleanSession, findings: Mapping[SessionCheck, str]
    ) -> None:
        settings, head = self._recipe.ingest, joined.parts[0]
        guess = session_language(session.messages, self._detector)
        self._languages[guess.code if guess else "unknown"] += 1
        rejection = _refused_language(guess, settings.languages)
        for name, detail in findings.items():
            if settings.checks[name] == "reject":
                rejection = rejection or Rejection(name, detail)
            else:
                self._log.found(name, head.id, detail)
        if rejection is not None:
            self._reject(joined, rejection)
            return
        self._sessions.append(
            Session(
                id=head.id,
                source_ids=tuple(part.id for part in joined.parts),
                base=head.session,
                source=head.source,
                record_index=head.record_index,
                language=guess.code if guess else None,
                flags=tuple(findings),
                opens=head.first == 0 and "drop_leading_assistant" not in session.mended,
                turns=session.turns,
                digest=_content_digest(session.messages),
                order=head.order,
                place=self._texts.append(session.messages),
            )
        )

    def _reject(self, joined: Joined, rejection: Rejection) -> None:
        head = joined.parts[0]
        ids = [part.id for part in joined.parts]
        original = {"id": head.id, "source_ids": ids, "messages": joined.messages}
        self._work.reject(head.id, ids, rejection.reason, original, rejection.detail)

    def emit(self) -> None:
        """Tell sessions apart, then emit or reject each of them."""
        seed, settings = self._recipe.seed, self._recipe.ingest
        verdicts = self._distinct.judge(self._sessions)
        counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("splits", "sources", "flags")
        }
        for session in sorted(self._sessions, key=lambda one: one.order):
            verdict = verdicts[session.id]
            row = self._row(session)
            if verdict.rejection is not None:
                reason, detail = verdict.rejection.reason, verdict.rejection.detail
                self._work.reject(session.id, session.source_ids, reason, row, detail)
                continue
            split = split_of(seed, verdict.group, settings.heldout_fraction, settings.seed_fraction)
            self._work.emit({**row, "split": split, "group": verdict.group})
            counts["splits"][split] += 1
            counts["sources"][session.source] += 1
            counts["flags"].update(session.flags)
        found = {**counts, "languages": self._languages, "joined": self._joined}
        for name, counter in found.items():
            self._work.metric(name, dict(counter.most_common()))
        self._work.metric("groups", self._distinct.figures)
        for name, value in self._log.metrics().items():
            self._work.metric(name, value)

    def _row(self, session: Session) -> Row:
        return {
            "id": session.id,
            "source_ids": list(session.source_ids),
            "language": session.language,
            "source": session.source,
            "record_index": session.record_index,
            "messages": list(self._texts.read(session.place)),
            "n_turns": session.turns,
            "opens_session": session.opens,
            "flags": list(session.flags),
        }


def _sessions(work: ShardWork, records: Spool) -> Iterator[Joined]:
    """Yield the records, joined to sessions where they are parts of one."""
    parts: list[Part] = []
    for order, row in enumerate(work.rows()):
        parts.append(
            Part(
                session=row["session"],
                is_part=row["part"] and work.run.recipe.ingest.join_parts,
                first=row["first_message"],
                length=len(row["messages"]),
                id=row["id"],
                source=sys.intern(row["source"]),
                record_index=row["record_index"],
                order=order,
                place=records.append([_message(item) for item in row["messages"]]),
            )
        )
    parts.sort(key=lambda part: part.session)
    for _, same in groupby(parts, key=lambda part: part.session):
        yield from join(list(same), lambda part: records.read(part.place))


def _message(item: Row) -> Message:
    return {"role": item["role"], "content": item["content"]}


def _benchmark(recipe: Recipe, shingler: Shingler) -> Benchmark | None:
    least = recipe.ingest.near_duplicates.benchmark
    if least is None:
        return None
    questions = load_benchmark(recipe.evaluate.questions).questions
    return Benchmark((text for q in questions for text in q.turns), shingler, least)


def _refused_language(guess: Guess | None, kept: Sequence[str]) -> Rejection | None:
    if not kept or (guess and guess.code in kept):
        return None
    found = f"{guess.code} ({guess.confidence:.2f})" if guess else "no words outside code"
    return Rejection("language", f"found {found}, expected {', '.join(kept)}")


def _content_digest(messages: Sequence[Message]) -> bytes:
    """A hash that ignores case and spacing."""
    text = "\0".join(" ".join(m["content"].casefold().split()) for m in messages)
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=16).digest()
