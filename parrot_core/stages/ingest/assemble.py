"""The stage ``assemble``: records to clean sessions, each once, each in its split."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import ClassVar

from parrot_core.lake.metrics import ConversationMetrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import Row, ShardWork, Stage
from parrot_core.stages.ingest.clean import Rejection
from parrot_core.stages.ingest.distinct import ComparedSession, Distinct
from parrot_core.stages.ingest.examine import Examined, Examiner
from parrot_core.stages.ingest.language import FastTextDetector, Guess, LanguageDetector
from parrot_core.stages.ingest.parts import Joined, SessionParts
from parrot_core.stages.ingest.rule_log import RuleLog
from parrot_core.stages.ingest.rules.rule import Messages
from parrot_core.stages.ingest.shingles import Shingler
from parrot_core.stages.ingest.splits import split_of
from parrot_core.stages.planning import one_shard

SESSIONS_AT_ONCE = 250
CHARS_AT_ONCE = 1 << 20
"""So many sessions, or characters, are looked at together."""


class AssembleStage(Stage):
    """Joins parts, applies the session rules, drops duplicates and gives each group its split.

    One shard over all files, since a session's parts, and what is like it, may be in any of them.
    Texts, and what is known of them, wait in files on the local disk; memory holds a dozen bytes a
    session. Which sessions stay, and in which split, depends on the records and the seed, not on
    files or order.
    A row's id is that of its first record, ``source_ids`` names all its records.

    Metrics: ``joined`` (sessions of several records, these records, and how their parts go on),
    ``joined_examples``, ``numbered_records`` (by source, those whose ids only count), ``languages``
    (sessions seen), ``splits``, ``sources`` and ``flags`` (sessions kept), ``groups``, ``rules``
    (sessions changed) and ``examples`` of them.
    """

    name = "assemble"
    output = "conversations"
    metrics = ConversationMetrics
    settings_read = ("ingest", "evaluate.questions")
    summary = "Parts joined to sessions, near-duplicates dropped, splits drawn."
    output_summary = "Conversations that people had with chat models, cleaned and divided."
    inputs = ("records",)
    unit: ClassVar[str] = "session"

    def __init__(self, detector: Callable[[], LanguageDetector] = FastTextDetector) -> None:
        """Take another way to tell a language, for tests."""
        self._detector = detector

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        return one_shard(run, "records")

    def rows_per_file(self, run: Run) -> int:
        return run.recipe.ingest.rows_per_file

    def process(self, work: ShardWork) -> None:
        """Join and settle every session, find those alike, then emit in the order of the files."""
        recipe = work.run.recipe
        examine = Examiner(recipe.ingest, recipe.evaluate.questions, self._detector())
        with ExitStack() as stack:
            assembly = _Assembly(work, stack)
            parts = SessionParts(work, work.run.work_dir / self.name)
            for batch in _batches(parts.sessions()):
                assembly.take(batch, examine)
            assembly.emit()
        for name, value in parts.metrics().items():
            work.metric(name, value)
        for warning in parts.warnings():
            work.warn(warning)


_LOSE_THE_END = frozenset(
    ("drop_failed_answers", "drop_unanswered", "keep_first_turns", "require_short_messages")
)
"""Session rules after which the last message may not be the one that its session ended with."""


def _batches(sessions: Iterator[Joined]) -> Iterator[list[Joined]]:
    batch: list[Joined] = []
    chars = 0
    for session in sessions:
        batch.append(session)
        chars += sum(len(message["content"]) for message in session.messages)
        if len(batch) >= SESSIONS_AT_ONCE or chars >= CHARS_AT_ONCE:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


class _Assembly:
    """Sessions on their way from their records to the output."""

    def __init__(self, work: ShardWork, stack: ExitStack) -> None:
        self._work = work
        self._recipe = work.run.recipe
        self._log = RuleLog()
        self._languages: Counter[str] = Counter()
        self._records = 0
        folder = work.run.work_dir / AssembleStage.name
        near = self._recipe.ingest.near_duplicates
        self._distinct = Distinct(near, Shingler(), folder, stack)

    def take(self, batch: Sequence[Joined], examine: Examiner) -> None:
        """Take in some sessions; what is rejected now is in no comparison."""
        outcomes = examine([(one.parts[0].id, one.messages) for one in batch], self._log)
        for joined, outcome in zip(batch, outcomes, strict=True):
            self._work.expect(1)
            self._records += len(joined.parts)
            if outcome.looked:
                self._languages[outcome.guess.code if outcome.guess else "unknown"] += 1
            if isinstance(outcome.kept, Rejection):
                self._reject(joined, outcome.kept)
            else:
                self._keep(joined, outcome.kept, outcome.guess)
        self._work.progress(self._records, self._work.plan.rows)

    def _keep(self, joined: Joined, found: Examined, guess: Guess | None) -> None:
        head = joined.parts[0]
        session = ComparedSession(
            id=head.id,
            source_ids=[part.id for part in joined.parts],
            base=joined.group,
            source=head.source,
            record_index=head.record_index,
            order=head.order,
            language=guess.code if guess else None,
            system=found.system,
            flags=found.flags,
            opens=joined.opens and "drop_leading_assistant" not in found.mended,
            ends=joined.ends and _LOSE_THE_END.isdisjoint(found.mended),
            turns=found.turns,
            benchmark=found.benchmark,
        )
        self._distinct.add(session, found)

    def _reject(self, joined: Joined, rejection: Rejection) -> None:
        head = joined.parts[0]
        ids = [part.id for part in joined.parts]
        original = {"id": head.id, "source_ids": ids, "messages": joined.messages}
        self._work.reject(head.id, ids, rejection.reason, original, rejection.detail)

    def emit(self) -> None:
        """Tell sessions apart, then emit or reject each of them."""
        seed, settings = self._recipe.seed, self._recipe.ingest
        self._distinct.judge()
        counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("splits", "sources", "flags")
        }
        for session, messages, verdict in self._distinct.in_order():
            row = _row(session, messages)
            if verdict.rejection is not None:
                reason, detail = verdict.rejection.reason, verdict.rejection.detail
                self._work.reject(session.id, session.source_ids, reason, row, detail)
                continue
            split = split_of(seed, verdict.group, settings.heldout_fraction, settings.seed_fraction)
            self._work.emit({**row, "split": split, "group": verdict.group})
            counts["splits"][split] += 1
            counts["sources"][session.source] += 1
            counts["flags"].update(session.flags)
        found = {**counts, "languages": self._languages}
        for name, counter in found.items():
            self._work.metric(name, _largest_first(counter))
        self._work.metric("groups", self._distinct.figures)
        for name, value in self._log.metrics().items():
            self._work.metric(name, value)


def _row(session: ComparedSession, messages: Messages) -> Row:
    return {
        "id": session.id,
        "source_ids": session.source_ids,
        "language": session.language,
        "source": session.source,
        "record_index": session.record_index,
        "system": session.system,
        "messages": messages,
        "n_turns": session.turns,
        "opens_session": session.opens,
        "ends_session": session.ends,
        "flags": session.flags,
    }


def _largest_first(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))
