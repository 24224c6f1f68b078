"""The synthesis stage: seeds in, dialogues between Parrot-Ask and an answering model out."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from parrot_core.engines.in_flight import in_flight
from parrot_core.engines.types import ChatModel, Completion, Message, RowError
from parrot_core.errors import UserError
from parrot_core.judging.asking import WARM
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.metrics import DialogueMetrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.recipe import Synthesize
from parrot_core.schemas import REASONS
from parrot_core.stages.base import EngineUse, Row, ShardWork, Stage
from parrot_core.stages.fitness import is_truncated, truncation_warnings
from parrot_core.stages.forecasting import MESSAGE_TOKENS, Load, Requests, Sizes
from parrot_core.stages.planning import own_models, shards_of
from parrot_core.stages.synthesis.best_of import best_of
from parrot_core.stages.synthesis.converse import Dialogue, Speaker, converse
from parrot_core.stages.synthesis.guards import query_problem
from parrot_core.stages.synthesis.role_play import role_play
from parrot_core.text.text_hash import text_hash


class SynthesizeStage(Stage):
    """Parrot-40K's making: up to ``max_turns`` turns a seed (paper §3.2).

    Metrics: ``turns``, ``end_reasons`` (sessions by why they ended), ``truncated`` (sessions in
    which an ``answer`` or a query, ``ask``, was cut at the limit of tokens), ``guarded`` (queries
    that a guard had asked for once more; those that failed again are end reasons ``guard_…``; and
    ``end``, marks before ``end_from``), ``best_of`` (queries that were sampled several times, and
    of how many another than the first sample won).
    """

    name: ClassVar[str] = "synthesize"
    output: ClassVar[str] = "dialogues"
    metrics = DialogueMetrics
    inputs: ClassVar[tuple[str, ...]] = ("seeds", "parrot-ask")
    settings_read = ("synthesize",)
    summary = "Dialogues between Parrot-Ask and the answering model."
    output_summary = "Multi-turn dialogues: a model that asks like people ask, talking to another."
    unit: ClassVar[str] = "session"

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """Cut the seeds into shards of ``sessions_per_shard``.

        Raises:
            UserError: the seeds have no such column of system prompts.
        """
        settings = run.recipe.synthesize
        if (column := settings.system_column) is not None:
            row = next(run.lake.dataset("seeds", run.version_of("seeds")).rows(), None)
            if row is not None and column not in row:
                have = ", ".join(row)
                raise UserError(f"synthesize.system_column: seeds have no '{column}', but {have}")
        return shards_of(run, "seeds", settings.sessions_per_shard)

    def reads(self, run: Run) -> Sequence[str]:
        """The seeds, and what models of this lake the engines serve: Parrot-Ask, if it asks."""
        return ("seeds", *own_models(run, self.engines(run)))

    def uses(self, run: Run) -> Sequence[EngineUse]:
        settings = run.recipe.synthesize
        return (
            EngineUse(settings.asker, "synthesize.ask", settings.ask),
            EngineUse(settings.answerer, "synthesize.answer", settings.answer),
        )

    def forecast(self, sizes: Sizes) -> Requests:
        """Turn by turn, as long as a session goes on; its history grows."""
        settings, basis = sizes.recipe.synthesize, sizes.basis
        answer = sizes.answer(settings.answer.max_tokens)
        ask = min(basis.follow_up.value, settings.ask.max_tokens)
        answers = Load(settings.answerer, 0, 0, 0)
        questions = Load(settings.asker, 0, 0, 0)
        alive, history = float(sizes.seeds), MESSAGE_TOKENS
        for turn in range(1, settings.max_turns + 1):
            query = basis.first_query.value if turn == 1 else ask
            history += query + MESSAGE_TOKENS
            answers = answers.plus(Load("", alive, alive * history, alive * answer))
            history += answer + MESSAGE_TOKENS
            if turn < settings.max_turns:
                alive *= _go_on(settings, turn)
                asked = alive * settings.best_of
                questions = questions.plus(Load("", asked, asked * history, asked * ask))
                alive *= basis.goes_on.value
        return Requests((answers, questions), settings.sessions_in_flight, settings.max_turns)

    def process(self, work: ShardWork) -> None:
        """Hold the shard's conversations, ``sessions_in_flight`` at a time."""
        asyncio.run(_Sessions(work).run())

    def warnings(self, run: Run, receipts: Sequence[Receipt]) -> Sequence[str]:
        """Too many sessions with a text that was cut at the limit of tokens."""
        settings = run.recipe.synthesize
        sampling = {"synthesize.answer": settings.answer, "synthesize.ask": settings.ask}
        truncated: Counter[str] = Counter()
        for receipt in receipts:
            for speaker, count in receipt.metrics.get("truncated", {}).items():
                truncated[f"synthesize.{speaker}"] += count
        total = sum(receipt.accounting.rows_in for receipt in receipts)
        return truncation_warnings(truncated, sampling, total, self.unit)


class _Sessions:
    """The sessions of one shard."""

    def __init__(self, work: ShardWork) -> None:
        self._work = work
        self._settings = work.run.recipe.synthesize
        self._asker: ChatModel = work.engine(self._settings.asker)
        self._answerer: ChatModel = work.engine(self._settings.answerer)
        self._done = 0
        self._turns = 0
        self._end_reasons: Counter[str] = Counter()
        self._guarded: Counter[str] = Counter()  # queries asked for once more, by guard
        self._best_of: Counter[str] = Counter()  # queries, and those of which another sample won
        self._truncated: Counter[str] = Counter()  # sessions by who wrote the cut text
        self._with_truncation = 0  # sessions

    async def run(self) -> None:
        self._work.progress(0, self._work.plan.rows)
        await in_flight(self._work.rows(), self._settings.sessions_in_flight, self._one)
        self._work.metric("turns", self._turns)
        self._work.metric("end_reasons", dict(self._end_reasons.most_common()))
        self._work.metric("truncated", dict(self._truncated))
        if self._settings.best_of > 1:
            self._work.metric("best_of", dict(self._best_of))
        if self._settings.guards or self._settings.end_from > 1:
            self._work.metric("guarded", dict(self._guarded))

    async def _one(self, seed: Row) -> None:
        self._work.expect(1)
        session = f"{seed['id']}"
        settings = self._settings
        prompt = system_prompt(settings, seed)
        before: list[Message] = [{"role": "system", "content": prompt}] if prompt else []

        async def ask(messages: list[Message], turn: int) -> Completion:
            sample = f"{session}/t{turn}/ask"
            shown = role_play(messages) if settings.role_play else messages
            first, *others = [sample, *(f"{sample}/{n}" for n in range(2, settings.best_of + 1))]
            if not others:
                return await self._asker.complete(shown, settings.ask, sample=first)
            samples = await self._samples(shown, (first, *others))
            best = best_of(samples, messages, seed["language"], settings)
            self._best_of["asked"] += 1
            self._best_of["not the first"] += best is not samples[0]
            return best

        async def answer(messages: list[Message], turn: int) -> Completion:
            sample = f"{session}/t{turn}/answer"
            talk = [*before, *messages]
            return await self._answerer.complete(talk, settings.answer, sample=sample)

        async def ask_again(messages: list[Message], turn: int) -> Completion:
            sample = f"{session}/t{turn}/ask/again"
            warm = settings.ask.model_copy(
                update={"temperature": max(settings.ask.temperature, WARM)}
            )
            if settings.role_play:
                messages = role_play(messages)
            return await self._asker.complete(messages, warm, sample=sample)

        def guard(query: str, messages: list[Message]) -> str:
            return query_problem(query, messages, settings)

        dialogue = await converse(
            seed["query"],
            ask,
            answer,
            session_turns(settings, session, self._work.run.recipe.seed),
            keep_truncated=settings.keep_truncated,
            control_tokens=settings.control_tokens,
            guard=guard if settings.guards else None,
            ask_again=ask_again,
            end_from=settings.end_from,
        )
        self._keep(seed, dialogue, prompt if settings.keep_system else None)

    async def _samples(self, shown: list[Message], names: Sequence[str]) -> list[Completion]:
        """Several queries, without those that failed; RowError if all did."""
        complete, sampling = self._asker.complete, self._settings.ask
        found = await asyncio.gather(
            *(complete(shown, sampling, sample=name) for name in names), return_exceptions=True
        )
        failures = [each for each in found if isinstance(each, BaseException)]
        samples = [each for each in found if not isinstance(each, BaseException)]
        for failure in failures:
            if not (samples and isinstance(failure, RowError)):
                raise failure
        return samples

    def _keep(self, seed: Row, dialogue: Dialogue, system: str | None) -> None:
        row = dialogue_row(seed, dialogue, system)
        least = self._settings.min_turns
        if dialogue.n_turns >= least:
            self._work.emit(row)
            self._turns += dialogue.n_turns
        else:
            why = dialogue.end_reason
            reason = why if why in REASONS else "ended_too_early"
            detail = f"{why} after {dialogue.n_turns} of at least {least} turns; {dialogue.detail}"
            if why == "truncated" and dialogue.ended_by is not None:
                setting = f"synthesize.{dialogue.ended_by}.max_tokens"
                detail += f" ({setting} = {self._limit_of(dialogue.ended_by)})"
            self._work.reject(row["id"], row["source_ids"], reason, {**seed, **row}, detail)
        self._done += 1
        self._end_reasons[dialogue.end_reason] += 1
        self._guarded.update(dialogue.guarded)
        truncated = truncated_by(dialogue)
        self._truncated.update(truncated)
        self._with_truncation += bool(truncated)
        self._work.progress(
            self._done, self._work.plan.rows, turns=self._turns, truncated=self._with_truncation
        )

    def _limit_of(self, speaker: Speaker) -> int:
        return (self._settings.ask if speaker == "ask" else self._settings.answer).max_tokens


def session_turns(settings: Synthesize, session: str, seed: int) -> int:
    """After how many turns a session is complete: the same for it in every run of this seed."""
    if settings.turns_band is None:
        return settings.max_turns
    fewest, most = settings.turns_band
    return fewest + text_hash(f"{seed}/turns/{session}") % (most - fewest + 1)


def _go_on(settings: Synthesize, turn: int) -> float:
    """Of sessions that have come to a turn, the share that is to have another."""
    fewest, most = settings.turns_band or (settings.max_turns, settings.max_turns)

    def reach(number: int) -> float:
        return min(max(most - number + 1, 0) / (most - fewest + 1), 1.0)

    return reach(turn + 1) / reach(turn) if reach(turn) else 0.0


def system_prompt(settings: Synthesize, seed: Row) -> str | None:
    """The system prompt that a session's answerer gets: the seed's own, else the recipe's."""
    own = seed.get(settings.system_column) if settings.system_column is not None else None
    return str(own).strip() or settings.system if own is not None else settings.system


def truncated_by(dialogue: Dialogue) -> set[Speaker]:
    """Who wrote a text that was cut at the limit of tokens, be it kept or the session's end."""
    found: set[Speaker] = set()
    for place, completion in enumerate(dialogue.completions):
        if completion is not None and is_truncated(completion):
            found.add("answer" if place % 2 else "ask")
    if dialogue.end_reason == "truncated" and dialogue.ended_by is not None:
        found.add(dialogue.ended_by)
    return found


def dialogue_row(seed: Row, dialogue: Dialogue, system: str | None = None) -> Row:
    """A dialogue as ``schemas.DIALOGUES`` lays it out; ``system`` is its first message then."""
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    completions: list[Completion | None] = [*([None] * len(messages)), *dialogue.completions]
    return {
        "id": seed["id"],
        "source_ids": [seed["id"]],
        "language": seed["language"],
        "messages": [*messages, *dialogue.messages],
        "provenance": [_provenance(completion) for completion in completions],
        "thinking": [each.thinking if each else None for each in completions],
        "n_turns": dialogue.n_turns,
        "end_reason": dialogue.end_reason,
        "topic": seed.get("topic"),
    }


def _provenance(completion: Completion | None) -> dict[str, Any]:
    if completion is None:
        return {}
    return {
        "engine": completion.engine,
        "model": completion.model,
        "request_key": completion.request_key,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.usage.prompt_tokens,
        "completion_tokens": completion.usage.completion_tokens,
    }
