"""Context misunderstanding (paper §3.3): answer as if the query were about another passage.

The passage must not be what the query is about: it is taken from before the last turn, which a
follow-up is mostly about, and shares no word with the query, with the chosen answer, or with a
passage that does. (*How can I make the party more fun?* shares none with *birthday ideas for my
cousin*, but with the answer about a birthday party.) Where the conversation has no such passage
there is no misunderstanding to write; at turn 2 mostly there is none.
"""

import random
import re
from collections.abc import Sequence
from typing import Literal

from parrot_core.engines.types import ChatModel, Message
from parrot_core.judging.asking import complete_thinking
from parrot_core.judging.prompts import PromptSet, prompts_for
from parrot_core.recipe import Sampling
from parrot_core.stages.capo.negatives import (
    ContextQuery,
    Negative,
    Writers,
    content_words,
    shortened,
)
from parrot_core.stages.fitness import Unfit

PICK_TOKENS = 16
_PASSAGES = 8
_PASSAGE_CHARS = 300
_FEWEST_WORDS = 3  # with content: an abbreviation or a heading is no passage
_SENTENCE_END = re.compile(
    r"\n+|(?<!\b[A-Z]\.)(?<!\b(?:Mr|Dr|Ms|St|vs)\.)(?<!\b(?:Mrs|e\.g|i\.e|etc)\.)(?<=[.!?])\s+|(?<=[。！？])"
)
_NUMBER = re.compile(r"\D{0,20}(\d{1,3})(?!\d)")


async def write(query: ContextQuery, writers: Writers, sampling: Sampling, seed: int) -> Negative:
    """Let the writer pick an irrelevant passage by its number, then answer about that one.

    Raises:
        Unfit: the conversation has no other matter, or the pick can't be read.
        EngineError: see :meth:`ChatModel.complete`.
    """
    prompts, writer = prompts_for(query.language), writers.writer
    passages = other_matter(query)
    if not passages:
        raise Unfit("no_other_matter", "every passage may be what the query is about")
    if len(passages) > _PASSAGES:
        drawn = random.Random(f"{seed}/{query.id}/passages").sample(range(len(passages)), _PASSAGES)
        passages = [passages[index] for index in sorted(drawn)]
    only = len(passages) == 1  # nothing to pick from
    passage = passages[0] if only else await _pick(query, passages, writer, sampling, prompts)
    asked = prompts.misunderstand.messages(query=query.query, passage=passage)
    name = f"{query.id}/misunderstanding/answer"
    completion = await writer.complete(asked, sampling, sample=name)
    by: Literal["writer", "seed"] = "seed" if only else "writer"
    return Negative(completion.text.strip(), passage, by, prompts.prompt_set, completion, passage)


def other_matter(query: ContextQuery) -> list[str]:
    """Passages of a history, word for word, oldest first, that the query can't be about."""
    asked = [index for index, message in enumerate(query.history) if message["role"] == "user"]
    earlier = query.history[: asked[-1]] if len(asked) > 1 else query.history
    meant = content_words(query.query, query.response)
    linked = [p for p in passages_of(query.history) if content_words(p) & meant]
    meant |= content_words(*linked)
    return [passage for passage in passages_of(earlier) if not content_words(passage) & meant]


def passages_of(history: Sequence[Message]) -> list[str]:
    """Cut a history into passages, each verbatim, oldest first: lines or sentences of some words.

    A passage has at most 300 characters.
    """
    pieces = (
        _clip(piece.strip())
        for message in history
        if message["role"] != "system"
        for piece in _SENTENCE_END.split(message["content"])
    )
    return [p for p in dict.fromkeys(pieces) if len(content_words(p)) >= _FEWEST_WORDS]


async def _pick(
    query: ContextQuery,
    passages: Sequence[str],
    writer: ChatModel,
    sampling: Sampling,
    prompts: PromptSet,
) -> str:
    numbered = "\n".join(f"{number}. {text}" for number, text in enumerate(passages, 1))
    completion = await complete_thinking(
        writer,
        prompts.pick.messages(passages=numbered, query=query.query),
        shortened(sampling, PICK_TOKENS),
        sample=f"{query.id}/misunderstanding/pick",
    )
    said = completion.text.strip()
    found = _NUMBER.match(said)
    number = int(found[1]) if found else 0
    if not 1 <= number <= len(passages):
        raise Unfit("evidence_unreadable", f"no passage is picked: {said[:200]}")
    return passages[number - 1]


def _clip(text: str) -> str:
    if len(text) <= _PASSAGE_CHARS:
        return text
    head = text[:_PASSAGE_CHARS]
    return head[: head.rfind(" ")] if " " in head[_PASSAGE_CHARS // 2 :] else head
