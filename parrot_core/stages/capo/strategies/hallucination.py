"""Context hallucination (paper §3.3): guess what the query is about, then answer on the guess.

The guess must be a noun phrase, and wrong: one that shares a word with the chosen answer may be
what was meant, and is asked for again. So is a copy of the instruction's examples, as small writers
make; it stands if nothing better comes.
"""

import re

from parrot_core.engines.types import ChatModel
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

GUESS_TOKENS = 48
ATTEMPTS = 3
_MOST_WORDS, _MOST_CHARS = 9, 80
_EDGES = " \t\"'“”*.。:：-•"
_LEAD = re.compile(r"(?:guess|answer|topic|猜测|回答)\s*[:：]\s*", re.IGNORECASE)
_NO_NOUN = re.compile(
    r"""
      ^(?:i|you|we|it|this|that|these|those|they|he|she|there|here|sorry|please|sure|yes|no|okay
        |the\ (?:message|query|user|question|pronouns?|text|phrase|speaker|person\ is)
        |我|你|您|它|这|那|对不起|抱歉|好的)\b
    | ^(?:我|你|您|它|这|那|对不起|抱歉|好的|是)
    | \b(?:is|are|was|were|refers?|means?|stands?|seems?|could|would|might|may|can|will|cannot
        |don't|doesn't|isn't|unclear|unknown|context)\b
    | [?？!！;；]|指的是|可能
    """,
    re.IGNORECASE | re.VERBOSE,
)


async def write(query: ContextQuery, writers: Writers, sampling: Sampling, seed: int) -> Negative:
    """Guess without the history what the query talks about, then answer on that guess.

    Raises:
        Unfit: no guess is a noun phrase, or it may be right.
        EngineError: see :meth:`ChatModel.complete`.
    """
    prompts, writer = prompts_for(query.language), writers.writer
    guess = await _guess(query, writer, sampling, prompts)
    asked = prompts.hallucinate.messages(query=query.query, guess=guess)
    completion = await writer.complete(asked, sampling, sample=f"{query.id}/hallucination/answer")
    return Negative(completion.text.strip(), guess, "writer", prompts.prompt_set, completion, guess)


def noun_phrase(text: str) -> str | None:
    """The first line of a reply, if it is a noun phrase and nothing but one."""
    lines = [line.strip(_EDGES) for line in text.splitlines()]
    line = _LEAD.sub("", next((line for line in lines if line), "")).strip(_EDGES)
    if not content_words(line) or len(line) > _MOST_CHARS or len(line.split()) > _MOST_WORDS:
        return None
    return None if _NO_NOUN.search(line) else line


async def _guess(
    query: ContextQuery, writer: ChatModel, sampling: Sampling, prompts: PromptSet
) -> str:
    said, copied, right = "", None, None
    for attempt in range(ATTEMPTS):
        completion = await complete_thinking(
            writer,
            prompts.guess.messages(query=query.query),
            shortened(sampling, GUESS_TOKENS),
            sample=f"{query.id}/hallucination/guess/{attempt}",
        )
        said = completion.text.strip()
        guess = noun_phrase(said)
        if guess is None:
            continue
        if content_words(guess) & content_words(query.response):
            right = guess
        elif _copied(guess, query, prompts):
            copied = guess
        else:
            return guess
    if copied is not None:
        return copied
    if right is not None:
        raise Unfit("evidence_fits", f"the guess '{right}' may be what the chosen answer is about")
    raise Unfit("evidence_unreadable", f"no noun phrase is guessed: {said[:200]}")


def _copied(guess: str, query: ContextQuery, prompts: PromptSet) -> bool:
    """Whether a guess takes words of the examples that the query gives no reason for."""
    shown = content_words(*(example["reply"] for example in prompts.guess.examples))
    return bool(content_words(guess) & shown - content_words(query.query))
