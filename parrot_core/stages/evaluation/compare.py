"""The stage ``compare``: each subject's answers against a baseline's, judged in both orders."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from parrot_core.benchmarks.benchmark import Question, selected_benchmark
from parrot_core.engines.in_flight import in_flight
from parrot_core.engines.types import Message, RowError
from parrot_core.judging.pairwise import PAIR_PROMPT, PAIR_TOKENS, Comparison, compare
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.metrics import ComparisonMetrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import EngineUse, Row, ShardWork, Stage
from parrot_core.stages.evaluation.summary import Judged, first_holding, summarise
from parrot_core.stages.forecasting import MESSAGE_TOKENS, Load, Requests, Sizes

POINTS = {"subject": 1.0, "tie": 0.5, "baseline": 0.0}


class CompareStage(Stage):
    """Judgments to comparisons: one for each turn that a subject and the baseline both answered.

    Nothing is compared without ``evaluate.baseline``. Each side is shown with its own earlier
    answers. A comparison that has no readable verdict in either order after three attempts is
    ``unparsable_verdict``.

    Metrics of the version: ``baseline``, ``pair_prompt``, ``winners`` (counts by subject), and
    ``win_rates``: the share of comparisons won, ties as halves, by subject, turn and category
    with 95 % intervals over sessions (see ``summary``); 0.5 is as good as the baseline.
    """

    name: ClassVar[str] = "compare"
    output: ClassVar[str] = "comparisons"
    metrics = ComparisonMetrics
    inputs: ClassVar[tuple[str, ...]] = ("judgments",)
    settings_read = ("evaluate",)
    summary = "A judge compares each subject with a baseline."
    unit: ClassVar[str] = "comparison"

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard a subject that has a baseline to be compared with."""
        settings = run.recipe.evaluate
        if settings.baseline is None:
            return []
        run.lake.dataset("judgments", run.version_of("judgments"))
        others = [name for name in settings.subjects if name != settings.baseline]
        return [ShardPlan(index, params={"subject": name}) for index, name in enumerate(others)]

    def uses(self, run: Run) -> Sequence[EngineUse]:
        settings = run.recipe.evaluate
        if not settings.baseline:
            return ()
        return (EngineUse(settings.judge, "evaluate.verdict", settings.verdict, short=True),)

    def forecast(self, sizes: Sizes) -> Requests:
        """The judge reads both conversations up to each answer, in both orders."""
        settings, loads = sizes.recipe.evaluate, []
        if settings.baseline is not None:
            answer = sizes.answer(settings.answer.max_tokens)
            pairs = len(settings.subjects) - 1
            for question in selected_benchmark(settings).questions:
                history = 0.0
                for text in question.turns:
                    history += len(text) / 4 + answer + 2 * MESSAGE_TOKENS
                    read = 2 * history + PAIR_TOKENS
                    loads.append(Load(settings.judge, 2 * pairs, 2 * pairs * read, 2 * pairs * 4))
        return Requests(tuple(loads), settings.sessions_in_flight)

    def process(self, work: ShardWork) -> None:
        pairs = _pairs(work.run, str(work.plan.params["subject"]))
        work.expect(len(pairs))
        judging = _Judging(work, len(pairs))
        limit = work.run.recipe.evaluate.sessions_in_flight
        asyncio.run(in_flight(pairs, limit, judging.one))
        for pair in pairs:
            judging.report(pair)
        work.metric("points", judging.points)
        work.metric("winners", {str(work.plan.params["subject"]): dict(judging.winners)})

    def summarise(self, run: Run, receipts: Sequence[Receipt]) -> dict[str, Any] | None:
        judged = [Judged(*point) for receipt in receipts for point in receipt.metrics["points"]]
        rates = summarise(judged, run.recipe.seed)
        winners: dict[str, Any] = {}
        for receipt in receipts:
            winners |= receipt.metrics["winners"]
        return {
            "baseline": run.recipe.evaluate.baseline,
            "pair_prompt": PAIR_PROMPT,
            "winners": winners,
            "win_rates": {each.subject: each.to_json() for each in rates},
        }


@dataclass(frozen=True, slots=True)
class _AnswerPair:
    """One turn of one question, answered by both."""

    subject: Row
    baseline: Row
    shown: tuple[tuple[Message, ...], tuple[Message, ...]]  # the subject's, the baseline's
    reference: str | None

    @property
    def id(self) -> str:
        return f"{self.subject['id']}:{self.baseline['subject']}"


def _pairs(run: Run, subject: str) -> list[_AnswerPair]:
    settings = run.recipe.evaluate
    answers = _answers(run, (subject, str(settings.baseline)))
    questions = {each.question_id: each for each in selected_benchmark(settings).questions}
    pairs = []
    for (name, question, turn), row in answers.items():
        other = answers.get((str(settings.baseline), question, turn))
        if name != subject or other is None:
            continue
        known = questions.get(question)
        given = known if settings.history == "given" else None
        shown = (
            _shown(answers, subject, question, turn, known, given),
            _shown(answers, str(settings.baseline), question, turn, known, given),
        )
        reference = known.reference_of(turn) if known else None
        pairs.append(_AnswerPair(row, other, shown, reference))
    return pairs


def _answers(run: Run, subjects: Sequence[str]) -> dict[tuple[str, str, int], Row]:
    """Every answered turn of these subjects, scored or not, by subject, question and turn.

    Of a session that was held several times the first is compared.

    A turn whose score could not be read is among the rejects, with its answer.
    """
    version = run.lake.dataset("judgments", run.version_of("judgments"))
    rows = [row for row in version.rows() if row["subject"] in subjects and first_holding(row)]
    for reject in version.rejects():
        row = json.loads(reject["original"])
        if row.get("subject") in subjects and row.get("answer") and first_holding(row):
            rows.append(row)
    rows.sort(key=lambda row: (row["subject"], row["source_ids"][0], row["turn"]))
    return {(row["subject"], row["source_ids"][0], row["turn"]): row for row in rows}


def _shown(
    answers: Mapping[tuple[str, str, int], Row],
    subject: str,
    question: str,
    turn: int,
    known: Question | None,
    given: Question | None,
) -> tuple[Message, ...]:
    """The conversation up to an answer; ``given`` has answers that stand for earlier own ones."""
    shown: list[Message] = []
    for number in range(1, turn + 1):
        row = answers.get((subject, question, number))
        stands = given.given_to(number) if given and number < turn else None
        if row is None and known is not None:  # it was not asked: the benchmark answers it
            query, own = known.turns[number - 1], known.given_to(number) or ""
        else:
            assert row is not None
            query, own = row["query"], row["answer"]
        shown.append({"role": "user", "content": query})
        shown.append({"role": "assistant", "content": stands or own})
    return tuple(shown)


class _Judging:
    """The comparisons of one shard in the making."""

    def __init__(self, work: ShardWork, total: int) -> None:
        self._work = work
        self._total = total
        self._outcomes: dict[str, Comparison | RowError] = {}
        self.points: list[tuple[str, str, str, int, float]] = []
        self.winners: Counter[str] = Counter()

    async def one(self, pair: _AnswerPair) -> None:
        settings = self._work.run.recipe.evaluate
        judge = self._work.engine(settings.judge)
        try:
            outcome: Comparison | RowError = await compare(
                pair.id, *pair.shown, judge, settings.verdict, pair.reference
            )
        except RowError as error:
            outcome = error
        self._outcomes[pair.id] = outcome
        self._work.progress(len(self._outcomes), self._total)

    def report(self, pair: _AnswerPair) -> None:
        outcome = self._outcomes[pair.id]
        comparison = outcome if isinstance(outcome, Comparison) else None
        row = self._row(pair, comparison)
        if isinstance(outcome, RowError):
            self._work.reject(row["id"], row["source_ids"], outcome.reason, row, str(outcome))
        elif not outcome.readable:
            detail = "no verdict in three attempts, in one order or both"
            self._work.reject(row["id"], row["source_ids"], "unparsable_verdict", row, detail)
        else:
            self._work.emit(row)
            self.winners[row["winner"]] += 1
            score = POINTS[row["winner"]]
            source = pair.subject["source_ids"][0]
            self.points.append((row["subject"], source, row["category"], row["turn"], score))

    def _row(self, pair: _AnswerPair, outcome: Comparison | None) -> Row:
        side = {"first": "subject", "second": "baseline", "tie": "tie", None: None}
        verdicts = outcome.verdicts if outcome else (None, None)
        readable = outcome is not None and outcome.readable
        return {
            "id": pair.id,
            "source_ids": [pair.subject["id"], pair.baseline["id"]],
            "language": pair.subject["language"],
            "subject": pair.subject["subject"],
            "baseline": pair.baseline["subject"],
            "category": pair.subject["category"],
            "turn": pair.subject["turn"],
            "query": pair.subject["query"],
            "answer": pair.subject["answer"],
            "baseline_answer": pair.baseline["answer"],
            "winner": side[outcome.winner] if outcome and readable else None,
            "shown_first": side[verdicts[0]],
            "shown_second": side[verdicts[1]],
            "judge_texts": list(outcome.texts) if outcome else [],
            "judge_model": self._work.engine(self._work.run.recipe.evaluate.judge).model,
        }
