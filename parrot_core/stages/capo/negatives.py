"""What every strategy of negatives is given and gives back, and the checks that they share."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from parrot_core.engines.types import ChatModel, Completion, Message
from parrot_core.recipe import Sampling
from parrot_core.stages.base import Row
from parrot_core.text.similarity import WITHOUT_CONTENT, tokens

_LATIN = re.compile(r"[a-z]")
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ies|es|(?<!s)s|e|y)$")


@dataclass(frozen=True, slots=True)
class ContextQuery:
    """A query that depends on its context, with the answer that took the context into account."""

    id: str
    language: str | None
    turn: int
    history: tuple[Message, ...]
    query: str
    response: str
    response_cut: bool = False  # a limit stopped its writer

    @classmethod
    def from_row(cls, row: Row) -> "ContextQuery":
        """Read a row of ``context-queries``."""
        history: tuple[Message, ...] = tuple(
            {"role": message["role"], "content": message["content"]} for message in row["history"]
        )
        return cls(
            row["id"],
            row["language"],
            row["turn"],
            history,
            row["query"],
            row["response"],
            row["response_finish_reason"] == "length",
        )


@dataclass(frozen=True, slots=True)
class Negative:
    """An answer that gets the context wrong.

    Attributes:
        text: the answer; empty when the writer came up with none.
        evidence: what it is wrong about (a guess, a passage, another referent); None for neglect.
        evidence_by: who chose the evidence: the ``writer``, or the ``seed`` of the run.
        prompt_set: version of the instructions.
        completion: the writer's last completion.
        about: what the text must speak of if it makes the mistake; None if that can't be said.
    """

    text: str
    evidence: str | None
    evidence_by: Literal["writer", "seed"] | None
    prompt_set: str
    completion: Completion
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Writers:
    """Who writes: the writer of negatives; for on-policy ones also the model, and its judge."""

    writer: ChatModel
    policy: ChatModel | None = None
    judge: ChatModel | None = None


Strategist = Callable[[ContextQuery, Writers, Sampling, int], Awaitable[Negative]]
"""A strategy's ``write``: it raises ``Unfit`` where no negative of its kind can be had."""


def content_words(*texts: str) -> frozenset[str]:
    """The words that say what texts are about, without function words; a plural is as its noun."""
    return frozenset(_words(texts))


def _words(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        for word in tokens(text):
            if word not in WITHOUT_CONTENT and (len(word) > 1 or not _LATIN.match(word)):
                yield _ENDING.sub("", word)


def shortened(sampling: Sampling, most: int) -> Sampling:
    return sampling.model_copy(update={"max_tokens": min(sampling.max_tokens, most)})
