"""Context neglect (paper §3.3): answer the query as if nothing had been said before."""

from parrot_core.engines.types import Message
from parrot_core.judging.prompts import prompts_for
from parrot_core.recipe import Sampling
from parrot_core.stages.capo.negatives import ContextQuery, Negative, Writers


async def write(query: ContextQuery, writers: Writers, sampling: Sampling, seed: int) -> Negative:
    """Answer the query alone; a system message stays.

    Raises:
        EngineError: see :meth:`ChatModel.complete`.
    """
    system = [message for message in query.history[:1] if message["role"] == "system"]
    alone: list[Message] = [*system, {"role": "user", "content": query.query}]
    completion = await writers.writer.complete(alone, sampling, sample=f"{query.id}/neglect/answer")
    prompts = prompts_for(query.language)
    return Negative(completion.text.strip(), None, None, prompts.prompt_set, completion)
