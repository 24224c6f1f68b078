"""The synthesis stage: seeds in, dialogues between Parrot-Ask and an answering model out."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from parrot_core.engines.in_flight import in_flight
from parrot_core.engines.types import ChatModel, Completion, Message
from parrot_core.lake.run import Run
from parrot_core.schemas import REASONS
from parrot_core.stages.base import Row, ShardPlan, ShardWork, Stage
from parrot_core.stages.planning import own_models, shards_of
from parrot_core.stages.synthesis.converse import Dialogue, converse
from parrot_core.stages.synthesis.role_play import role_play


class SynthesizeStage(Stage):
    """Parrot-40K's making: up to ``max_turns`` turns a seed (paper §3.2)."""

    name: ClassVar[str] = "synthesize"
    output: ClassVar[str] = "dialogues"
    inputs: ClassVar[tuple[str, ...]] = ("seeds", "parrot-ask")
    unit: ClassVar[str] = "session"

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """Cut the seeds into shards of ``sessions_per_shard``."""
        return shards_of(run, "seeds", run.recipe.synthesize.sessions_per_shard)

    def reads(self, run: Run) -> Sequence[str]:
        """The seeds, and what models of this lake the engines serve: Parrot-Ask, if it asks."""
        return ("seeds", *own_models(run, self.engines(run)))

    def engines(self, run: Run) -> Sequence[str]:
        """Asker and answerer."""
        return (run.recipe.synthesize.asker, run.recipe.synthesize.answerer)

    def process(self, work: ShardWork) -> None:
        """Hold the shard's conversations, ``sessions_in_flight`` at a time."""
        asyncio.run(_Sessions(work).run())


class _Sessions:
    """The sessions of one shard."""

    def __init__(self, work: ShardWork) -> None:
        self._work = work
        self._settings = work.run.recipe.synthesize
        self._asker: ChatModel = work.engine(self._settings.asker)
        self._answerer: ChatModel = work.engine(self._settings.answerer)
        self._done = 0
        self._turns = 0

    async def run(self) -> None:
        self._work.progress(0, self._work.plan.rows)
        await in_flight(self._work.rows(), self._settings.sessions_in_flight, self._one)
        self._work.metric("turns", self._turns)

    async def _one(self, seed: Row) -> None:
        self._work.expect(1)
        session = f"{seed['id']}"

        async def ask(messages: list[Message], turn: int) -> Completion:
            sample = f"{session}/t{turn}/ask"
            if self._settings.role_play:
                messages = role_play(messages)
            return await self._asker.complete(messages, self._settings.ask, sample=sample)

        async def answer(messages: list[Message], turn: int) -> Completion:
            sample = f"{session}/t{turn}/answer"
            return await self._answerer.complete(messages, self._settings.answer, sample=sample)

        dialogue = await converse(seed["query"], ask, answer, self._settings.max_turns)
        self._keep(seed, dialogue)

    def _keep(self, seed: Row, dialogue: Dialogue) -> None:
        row = dialogue_row(seed, dialogue)
        if dialogue.n_turns >= self._settings.min_turns:
            self._work.emit(row)
            self._turns += dialogue.n_turns
        else:
            why = dialogue.end_reason
            reason = why if why in REASONS else "ended_too_early"
            detail = f"{why} after {dialogue.n_turns} of at least {self._settings.min_turns} turns"
            self._work.reject(row["id"], row["source_ids"], reason, {**seed, **row}, detail)
        self._done += 1
        self._work.progress(self._done, self._work.plan.rows, turns=self._turns)


def dialogue_row(seed: Row, dialogue: Dialogue) -> Row:
    """A dialogue as ``schemas.DIALOGUES`` lays it out."""
    return {
        "id": seed["id"],
        "source_ids": [seed["id"]],
        "language": seed["language"],
        "messages": dialogue.messages,
        "provenance": [_provenance(completion) for completion in dialogue.completions],
        "n_turns": dialogue.n_turns,
        "end_reason": dialogue.end_reason,
        "topic": seed.get("topic"),  # seeds of before it was kept have none
    }


def _provenance(completion: Completion | None) -> dict[str, str | int | None]:
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
