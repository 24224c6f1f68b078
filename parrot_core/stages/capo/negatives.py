"""The three ways to get an answer's context wrong, each asked of the writer (paper §3.3).

*Neglect* answers with no history. *Hallucination* first guesses, without the history, what the
query talks about, then answers on that guess. *Misunderstanding* picks a passage of the history
that has nothing to do with the query, then answers as if the query were about it.
"""

import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from parrot_core.engines.types import ChatModel, Completion, Message
from parrot_core.judging.asking import complete_thinking
from parrot_core.judging.prompts import PromptSet, prompts_for
from parrot_core.recipe import Sampling, Strategy
from parrot_core.stages.base import Row

GUESS_TOKENS = 48
PICK_TOKENS = 16
_GUESS_CHARS = 200
_PASSAGES = 8
_PASSAGE_CHARS = 300
_SHORTEST_PASSAGE = 12
_SENTENCE_END = re.compile(r"\n+|(?<=[.!?])\s+|(?<=[。！？])")
_NUMBER = re.compile(r"\D{0,20}(\d{1,3})(?!\d)")


@dataclass(frozen=True, slots=True)
class ContextQuery:
    """A query that depends on its context, with the answer that took the context into account."""

    id: str
    language: str | None
    turn: int
    history: tuple[Message, ...]
    query: str
    response: str

    @classmethod
    def from_row(cls, row: Row) -> "ContextQuery":
        """Read a row of ``context-queries``."""
        history: tuple[Message, ...] = tuple(
            {"role": message["role"], "content": message["content"]} for message in row["history"]
        )
        return cls(row["id"], row["language"], row["turn"], history, row["query"], row["response"])


@dataclass(frozen=True, slots=True)
class Negative:
    """An answer that gets the context wrong.

    Attributes:
        text: the answer; empty when the writer came up with none.
        evidence: hallucination's guess or misunderstanding's passage; None for neglect.
        evidence_by: who chose the evidence: the ``writer``, or the ``seed`` of the run where the
            writer's choice could not be read.
        prompt_set: version of the instructions.
        completion: the writer's last completion; None when it was never asked for an answer.
    """

    text: str
    evidence: str | None
    evidence_by: Literal["writer", "seed"] | None
    prompt_set: str
    completion: Completion | None


Strategist = Callable[[ContextQuery, ChatModel, Sampling, int], Awaitable[Negative]]


async def neglect(
    query: ContextQuery, writer: ChatModel, sampling: Sampling, seed: int
) -> Negative:
    """Answer the query alone, as if nothing had been said before.

    Raises:
        EngineError: see :meth:`ChatModel.complete`.
    """
    prompts = prompts_for(query.language)
    system = [message for message in query.history[:1] if message["role"] == "system"]
    alone: list[Message] = [*system, {"role": "user", "content": query.query}]
    completion = await writer.complete(alone, sampling, sample=f"{query.id}/neglect/answer")
    return Negative(completion.text.strip(), None, None, prompts.prompt_set, completion)


async def hallucinate(
    query: ContextQuery, writer: ChatModel, sampling: Sampling, seed: int
) -> Negative:
    """Guess without the history what the query talks about, then answer on that guess.

    Raises:
        EngineError: see :meth:`ChatModel.complete`.
    """
    prompts = prompts_for(query.language)
    guess = await _guess(query, writer, sampling, prompts)
    if guess is None:
        return Negative("", None, None, prompts.prompt_set, None)
    asked = prompts.hallucinate.messages(query=query.query, guess=guess)
    completion = await writer.complete(asked, sampling, sample=f"{query.id}/hallucination/answer")
    return Negative(completion.text.strip(), guess, "writer", prompts.prompt_set, completion)


async def misunderstand(
    query: ContextQuery, writer: ChatModel, sampling: Sampling, seed: int
) -> Negative:
    """Pick an irrelevant passage of the history, then answer as if the query were about it.

    The writer picks by number among passages that are cut from the history word for word. A reply
    that names none of them is replaced by a seeded choice, and ``evidence_by`` says so.

    Raises:
        EngineError: see :meth:`ChatModel.complete`.
    """
    prompts = prompts_for(query.language)
    choice = random.Random(f"{seed}/{query.id}/passages")
    passages = passages_of(query.history)
    if len(passages) > _PASSAGES:
        kept = sorted(choice.sample(range(len(passages)), _PASSAGES))
        passages = [passages[index] for index in kept]
    if not passages:
        return Negative("", None, None, prompts.prompt_set, None)
    picked = await _pick(query, passages, writer, sampling, prompts)
    passage = choice.choice(passages) if picked is None else picked
    asked = prompts.misunderstand.messages(query=query.query, passage=passage)
    name = f"{query.id}/misunderstanding/answer"
    completion = await writer.complete(asked, sampling, sample=name)
    by: Literal["writer", "seed"] = "seed" if picked is None else "writer"
    return Negative(completion.text.strip(), passage, by, prompts.prompt_set, completion)


NEGATIVES: Mapping[Strategy, Strategist] = {
    "neglect": neglect,
    "hallucination": hallucinate,
    "misunderstanding": misunderstand,
}


def passages_of(history: Sequence[Message]) -> list[str]:
    """Cut the earlier part of a history into passages, each verbatim, oldest first.

    The last turn, which a follow-up is mostly about, is left out as long as there is an earlier
    one. A passage is a line or a sentence of at most 300 characters.
    """
    asked = [index for index, message in enumerate(history) if message["role"] == "user"]
    earlier = history[: asked[-1]] if len(asked) > 1 else history
    pieces = [
        _clip(piece.strip())
        for message in earlier
        if message["role"] != "system"
        for piece in _SENTENCE_END.split(message["content"])
    ]
    long_enough = [piece for piece in pieces if len(piece) >= _SHORTEST_PASSAGE]
    return list(dict.fromkeys(long_enough or [piece for piece in pieces if piece]))


async def _guess(
    query: ContextQuery, writer: ChatModel, sampling: Sampling, prompts: PromptSet
) -> str | None:
    short = _shortened(sampling, GUESS_TOKENS)
    for attempt in range(2):
        completion = await complete_thinking(
            writer,
            prompts.guess.messages(query=query.query),
            short,
            sample=f"{query.id}/hallucination/guess/{attempt}",
        )
        lines = [line.strip(" \t\"'“”*.。") for line in completion.text.splitlines()]
        guess = next((line for line in lines if line), None)
        if guess:
            return guess[:_GUESS_CHARS]
    return None


async def _pick(
    query: ContextQuery,
    passages: Sequence[str],
    writer: ChatModel,
    sampling: Sampling,
    prompts: PromptSet,
) -> str | None:
    numbered = "\n".join(f"{number}. {text}" for number, text in enumerate(passages, 1))
    completion = await complete_thinking(
        writer,
        prompts.pick.messages(passages=numbered, query=query.query),
        _shortened(sampling, PICK_TOKENS),
        sample=f"{query.id}/misunderstanding/pick",
    )
    found = _NUMBER.match(completion.text.strip())
    number = int(found[1]) if found else 0
    return passages[number - 1] if 1 <= number <= len(passages) else None


def _shortened(sampling: Sampling, tokens: int) -> Sampling:
    return sampling.model_copy(update={"max_tokens": min(sampling.max_tokens, tokens)})


def _clip(text: str) -> str:
    if len(text) <= _PASSAGE_CHARS:
        return text
    head = text[:_PASSAGE_CHARS]
    return head[: head.rfind(" ")] if " " in head[_PASSAGE_CHARS // 2 :] else head
