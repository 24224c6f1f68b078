"""The stage ``evaluate``: subjects answer a multi-turn benchmark, a judge scores every answer."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from parrot_core.benchmarks.benchmark import Question, selected_benchmark
from parrot_core.benchmarks.single_turn import single_turn_controls
from parrot_core.engines.in_flight import in_flight
from parrot_core.engines.types import ChatModel, Message, RowError
from parrot_core.errors import SourceError
from parrot_core.judging.grading import LOWEST, score_answer
from parrot_core.judging.grading_prompts import JudgePrompt
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.metrics import ScoreMetrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.recipe import Recipe
from parrot_core.stages.base import EngineUse, Row, ShardWork, Stage
from parrot_core.stages.evaluation.judge_prompts import selected_prompt
from parrot_core.stages.evaluation.sessions import SINGLE_TURN, session_figures
from parrot_core.stages.evaluation.summary import Judged, summarise
from parrot_core.stages.fitness import Unfit, fit_text, is_truncated, truncation_warnings
from parrot_core.stages.forecasting import MESSAGE_TOKENS, Load, Requests, Sizes
from parrot_core.stages.planning import own_models

JUDGE_TOKENS = 450.0
"""The judge's instructions and three examples (judging/grading)."""


class EvaluateStage(Stage):
    """A benchmark to judgments: one for each answer of a subject to a turn of a session.

    The unit is an answer. A subject answers turn by turn, each time with its own earlier answers
    before it, or the benchmark's (``evaluate.history``); a turn that the benchmark answers itself
    is not asked. A turn without an answer ends the session: it and the turns behind it are
    ``no_answer``, or what the engine refused for (``context_full``). An answer whose judge gives
    no readable score in three attempts is ``unparsable_verdict``; the others are judged all the
    same.

    A row's id is ``<subject>/<question id>/t<turn>``, with ``/r<n>`` behind it where the session is
    held for the n-th time; its source is the question. Answers to single-turn controls are those
    of a subject ``<name> (single turn)``. Metrics of the version: ``subjects`` (means, counts and
    95 % intervals, and the mean in which what has no score counts as the lowest: see ``summary``),
    ``sessions`` (repeats, weakest turns and controls: see ``sessions``), ``judge_prompt``,
    ``truncated`` (answers by subject that were cut at the limit of tokens; they are judged, too).
    """

    name: ClassVar[str] = "evaluate"
    output: ClassVar[str] = "judgments"
    metrics = ScoreMetrics
    inputs: ClassVar[tuple[str, ...]] = ("parrot-chat",)
    settings_read = ("evaluate",)
    summary = "A judge scores a multi-turn benchmark."
    output_summary = "An LLM judge’s scores of answers to a multi-turn benchmark."
    unit: ClassVar[str] = "answer"

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard a subject, repeat and slice of the questions; then of the controls.

        Raises:
            SourceError: the file of questions is missing, or a line of it is wrong.
        """
        benchmark = selected_benchmark(run.recipe.evaluate)
        selected_prompt(run.recipe.evaluate, benchmark)
        controls = single_turn_controls(benchmark, run.recipe.evaluate)
        size = run.recipe.evaluate.questions_per_shard
        sha256 = benchmark.sha256 + controls.sha256
        slices = [
            {
                "subject": subject,
                "first": first,
                "sha256": sha256,
                "repeat": repeat,
                "single_turn": single_turn,
            }
            for subject in run.recipe.evaluate.subjects
            for single_turn, asked in ((False, benchmark), (True, controls))
            for repeat in range(1, run.recipe.evaluate.repeats + 1)
            for first in range(0, len(asked.questions), size)
        ]
        return [ShardPlan(index, params=params) for index, params in enumerate(slices)]

    def reads(self, run: Run) -> Sequence[str]:
        """The models of this lake that subjects and judge run on, of this run's versions."""
        return own_models(run, self.engines(run))

    def lacks(self, recipe: Recipe) -> str:
        return "" if recipe.evaluate.subjects else "evaluate.subjects"

    def uses(self, run: Run) -> Sequence[EngineUse]:
        settings = run.recipe.evaluate
        return (
            *(
                EngineUse(engine, "evaluate.answer", settings.answer)
                for engine in dict.fromkeys(settings.subjects.values())
            ),
            EngineUse(settings.judge, "evaluate.verdict", settings.verdict, short=True),
        )

    def forecast(self, sizes: Sizes) -> Requests:
        """Each subject answers every turn; the judge reads it with its history and reference."""
        settings = sizes.recipe.evaluate
        answer = sizes.answer(settings.answer.max_tokens)
        loads = []
        benchmark = selected_benchmark(settings)
        controls = single_turn_controls(benchmark, settings)
        times = settings.repeats
        for engine in settings.subjects.values():
            for question in (*benchmark.questions, *controls.questions):
                history = MESSAGE_TOKENS
                for turn, text in enumerate(question.turns, 1):
                    history += len(text) / 4 + MESSAGE_TOKENS
                    asked = times * question.is_asked(turn)
                    loads.append(Load(engine, asked, asked * history, asked * answer))
                    history += answer + MESSAGE_TOKENS
                    reference = len(question.reference_of(turn) or "") / 4
                    read = history + reference + JUDGE_TOKENS
                    loads.append(Load(settings.judge, asked, asked * read, asked * 8))
        return Requests(tuple(loads), settings.sessions_in_flight)

    def process(self, work: ShardWork) -> None:
        """Let one subject answer a slice of the questions, and have the answers judged.

        Raises:
            SourceError: the questions are not those that the run was planned with.
        """
        settings, params = work.run.recipe.evaluate, work.plan.params
        benchmark = selected_benchmark(settings)
        controls = single_turn_controls(benchmark, settings)
        if benchmark.sha256 + controls.sha256 != params["sha256"]:
            raise SourceError(
                f"{settings.questions}: changed since this run was planned; restore it, or start "
                "a run of another name"
            )
        first, asked = int(params["first"]), controls if params["single_turn"] else benchmark
        questions = asked.questions[first : first + settings.questions_per_shard]
        prompt = selected_prompt(settings, benchmark)
        exam = _Exam(work, prompt)
        sessions = [_Session(question) for question in questions]
        exam.total = sum(
            question.is_asked(number)
            for question in questions
            for number in range(1, len(question.turns) + 1)
        )
        work.expect(exam.total)
        asyncio.run(in_flight(sessions, settings.sessions_in_flight, exam.sit))
        for session in sessions:
            exam.report(session)
        work.metric("scores", exam.scores)
        work.metric("unscored", exam.unscored)
        work.metric("judge_prompt", prompt.name)
        cut = sum(turn.truncated for session in sessions for turn in session.turns)
        work.metric("truncated", {exam.subject: cut})

    def summarise(self, run: Run, receipts: Sequence[Receipt]) -> dict[str, Any] | None:
        """Means by subject, turn and category over all shards."""
        judged = [Judged(*score) for receipt in receipts for score in receipt.metrics["scores"]]
        unscored = [
            Judged(subject, session, category, turn, LOWEST, repeat)
            for receipt in receipts
            for subject, session, category, turn, repeat in receipt.metrics["unscored"]
        ]
        sessions = session_figures([*judged, *unscored], run.recipe.seed)
        summaries = summarise(judged, run.recipe.seed, unscored)
        truncated: Counter[str] = Counter()
        for receipt in receipts:
            truncated.update(receipt.metrics["truncated"])
        return {
            "judge_prompt": ", ".join(sorted({r.metrics["judge_prompt"] for r in receipts})),
            "truncated": dict(truncated),
            "subjects": {summary.subject: summary.to_json() for summary in summaries},
            "sessions": {each.subject: each.to_json() for each in sessions},
        }

    def warnings(self, run: Run, receipts: Sequence[Receipt]) -> Sequence[str]:
        """Answers without a score, and too many that were cut, which are judged as they are."""
        without: Counter[str] = Counter()
        scored: Counter[str] = Counter()
        for receipt in receipts:
            without.update(answer[0] for answer in receipt.metrics["unscored"])
            scored.update(score[0] for score in receipt.metrics["scores"])
        missing = [
            f"{name}: {number:,} of {number + scored[name]:,} answers have no score; "
            + ("its mean leaves them out" if scored[name] else "so there is no mean of it")
            for name, number in without.items()
        ]
        cut = sum(sum(receipt.metrics["truncated"].values()) for receipt in receipts)
        total = sum(receipt.accounting.rows_in for receipt in receipts)
        sampling = {"evaluate.answer": run.recipe.evaluate.answer}
        return (
            *missing,
            *truncation_warnings({"evaluate.answer": cut}, sampling, total, self.unit),
        )


@dataclass(slots=True)
class _Turn:
    asked: bool = True  # of the subject; else the benchmark's answer stands
    answer: str | None = None
    shown: tuple[Message, ...] = ()  # what the judge sees: the conversation up to the answer
    truncated: bool = False
    score: float | None = None
    judge_text: str | None = None
    reason: str | None = None
    detail: str = ""


@dataclass(slots=True)
class _Session:
    question: Question
    turns: list[_Turn] = field(default_factory=list)


class _Exam:
    """One subject before the questions of one shard."""

    def __init__(self, work: ShardWork, prompt: JudgePrompt) -> None:
        settings, params = work.run.recipe.evaluate, work.plan.params
        self._work = work
        self._prompt = prompt
        self._engine = settings.subjects[str(params["subject"])]
        self.subject = f"{params['subject']}{SINGLE_TURN if params['single_turn'] else ''}"
        self._repeat = int(params["repeat"])
        self._settings = settings
        self._done = 0
        self.total = 0
        self.scores: list[tuple[str, str, str, int, float, int]] = []
        self.unscored: list[tuple[str, str, str, int, int]] = []

    async def sit(self, session: _Session) -> None:
        """Answer a session's turns in order, then have them judged."""
        await self._answer(session)
        for number, turn in enumerate(session.turns, 1):
            if not turn.asked:
                continue
            if turn.reason is None:
                await self._judge(session.question, number, turn)
            self._done += 1
            self._work.progress(self._done, self.total)

    async def _answer(self, session: _Session) -> None:
        """Ask turn by turn; once there is nothing to go on with, the turns behind go without."""
        question = session.question
        conversation: list[Message] = []
        subject = self._work.engine(self._engine)
        for number, query in enumerate(question.turns, 1):
            conversation.append({"role": "user", "content": query})
            turn = _Turn(asked=question.is_asked(number))
            given = question.given_to(number)
            if turn.asked:
                turn = await self._one_answer(question, number, conversation, subject)
                given = given if self._settings.history == "given" else None
            session.turns.append(turn)
            stands = given or turn.answer
            if stands is None:
                detail = turn.detail if turn.detail else turn.reason
                since = f"since turn {number}: {detail}"
                session.turns += [
                    _Turn(question.is_asked(n), reason=turn.reason, detail=since)
                    for n in range(number + 1, len(question.turns) + 1)
                ]
                break
            conversation.append({"role": "assistant", "content": stands})

    async def _one_answer(
        self,
        question: Question,
        number: int,
        conversation: Sequence[Message],
        subject: ChatModel,
    ) -> _Turn:
        sample = f"{self._id(question, number)}/answer"
        try:
            sampling = self._settings.sampling_of(question.category)
            completion = await subject.complete(conversation, sampling, sample=sample)
        except RowError as error:
            return _Turn(reason=error.reason, detail=str(error))
        try:
            answer = fit_text(completion, keep_truncated=True, empty="no_answer")
        except Unfit as error:
            return _Turn(reason=error.reason, detail=f"the answer is {error}")
        shown: tuple[Message, ...] = (*conversation, {"role": "assistant", "content": answer})
        return _Turn(answer=answer, truncated=is_truncated(completion), shown=shown)

    async def _judge(self, question: Question, number: int, turn: _Turn) -> None:
        try:
            score = await score_answer(
                self._id(question, number),
                turn.shown,
                [question.reference_of(n) for n in range(1, number + 1)],
                self._work.engine(self._settings.judge),
                self._settings.verdict,
                self._prompt,
            )
        except RowError as error:
            turn.reason, turn.detail = error.reason, f"judge: {error}"
            return
        turn.judge_text = score.text
        turn.score = score.value
        if score.value is None:
            turn.reason = "unparsable_verdict"
            turn.detail = "no score from 1 to 10 in three attempts"

    def report(self, session: _Session) -> None:
        """Emit or reject each turn of a session."""
        question = session.question
        model = self._work.engine(self._settings.judge).model
        for number, turn in enumerate(session.turns, 1):
            if not turn.asked:
                continue
            row: Row = {
                "id": self._id(question, number),
                "source_ids": [question.question_id],
                "language": None,
                "subject": self.subject,
                "category": question.category,
                "turn": question.first_turn + number - 1,
                "repeat": self._repeat,
                "query": question.turns[number - 1],
                "answer": turn.answer,
                "truncated": turn.truncated,
                "score": turn.score,
                "judge_text": turn.judge_text,
                "judge_model": model,
            }
            if turn.reason is not None or turn.score is None:
                reason = turn.reason or "unparsable_verdict"
                self._work.reject(row["id"], row["source_ids"], reason, row, turn.detail)
                self.unscored.append(
                    (
                        self.subject,
                        question.question_id,
                        question.category,
                        row["turn"],
                        self._repeat,
                    )
                )
                continue
            self._work.emit(row)
            self.scores.append(
                (
                    self.subject,
                    question.question_id,
                    question.category,
                    row["turn"],
                    turn.score,
                    self._repeat,
                )
            )

    def _id(self, question: Question, number: int) -> str:
        again = f"/r{self._repeat}" if self._repeat > 1 else ""
        turn = question.first_turn + number - 1
        return f"{self.subject}/{question.question_id}/t{turn}{again}"
