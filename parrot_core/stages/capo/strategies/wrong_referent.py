"""Wrong referent (ours): the query is completed, but with another entity of its history.

The answer to it has the style and length of a good one, and one error: what it is about.
"""

import random
import re

from parrot_core.engines.types import Message
from parrot_core.judging.prompts import prompts_for
from parrot_core.recipe import Sampling
from parrot_core.stages.capo.negatives import ContextQuery, Negative, Writers, content_words
from parrot_core.stages.capo.rewriting import rewrite
from parrot_core.stages.fitness import Unfit

_NAME = r"[A-Z][\w'’-]+(?:\s+(?:of|the|de|and)?\s*[A-Z][\w'’-]+)*"
_ENTITY = re.compile(rf"(?<![.!?:]\s)(?<!^)(?<!\n)\b{_NAME}|[\"“]([^\"“”\n]{{3,40}})[\"”]")


async def write(query: ContextQuery, writers: Writers, sampling: Sampling, seed: int) -> Negative:
    """Complete the query, put another entity into the place of what was meant, and answer that.

    Raises:
        Unfit: the query needs no history, or the history has no other entity.
        EngineError: see :meth:`ChatModel.complete`.
    """
    writer = writers.writer
    complete = await rewrite(query, writer, sampling)
    others = other_entities(query, complete.text)
    if not others:
        raise Unfit("no_other_matter", "the history names no other entity")
    other = random.Random(f"{seed}/{query.id}/referent").choice(others)
    system = [message for message in query.history[:1] if message["role"] == "system"]
    wrong: Message = {"role": "user", "content": complete.text.replace(complete.referent, other, 1)}
    name = f"{query.id}/wrong_referent/answer"
    completion = await writer.complete([*system, wrong], sampling, sample=name)
    prompts = prompts_for(query.language)
    evidence = f"{complete.referent} → {other}"
    return Negative(
        completion.text.strip(), evidence, "seed", prompts.prompt_set, completion, other
    )


def other_entities(query: ContextQuery, complete: str) -> list[str]:
    """Names in a history, as they stand there, that neither query nor chosen answer speaks of."""
    meant = content_words(query.query, query.response, complete)
    found = (
        (match[1] or match[0]).strip()
        for message in query.history
        if message["role"] != "system"
        for match in _ENTITY.finditer(message["content"])
    )
    return [
        name
        for name in dict.fromkeys(found)
        if not content_words(name) & meant and content_words(name)
    ]
