"""A second answer after the same history: nothing is wrong with it, so a preference is chance.

It measures and is never trained on. A model that finds the first answer likelier in much more than
half of the cases prefers what it has seen, or how it is written, whatever was said before.
"""

from parrot_core.engines.types import Message, RowError
from parrot_core.stages.base import ShardWork
from parrot_core.stages.capo.gates import chosen_problem, negative_problem
from parrot_core.stages.capo.negatives import ContextQuery
from parrot_core.stages.fitness import fit_text


async def second_answer(query: ContextQuery, work: ShardWork) -> str | None:
    """Sampled and checked as the answer in the dialogue was; None if unfit, or if it says the same.

    Raises:
        EngineError: the engine fails at more than a row.
    """
    settings = work.run.recipe.synthesize
    asked: list[Message] = [*query.history, {"role": "user", "content": query.query}]
    if settings.system and asked[0]["role"] != "system":
        asked.insert(0, {"role": "system", "content": settings.system})
    answerer = work.engine(settings.answerer)
    try:
        answer = await answerer.complete(asked, settings.answer, sample=f"{query.id}/placebo")
        text = fit_text(answer, keep_truncated=work.run.recipe.capo.keep_truncated)
    except RowError:
        return None
    earlier = (m["content"] for m in query.history if m["role"] == "assistant")
    problem = chosen_problem(text, query.query, earlier) or negative_problem(text, query.response)
    return None if problem else text
