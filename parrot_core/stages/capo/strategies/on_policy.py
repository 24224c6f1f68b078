"""On-policy (ours): the model's own answer after the history, where it gets the referent wrong.

What a model is likely to write teaches it more than what it never would. The query is completed
from its history, and a judge is asked one thing of the answer, yes or no: is it about what the
query means? Only a clear no makes a negative.
"""

from parrot_core.engines.types import Message
from parrot_core.judging.asking import ask_until_read
from parrot_core.judging.depends import parse_verdict
from parrot_core.judging.prompts import prompts_for
from parrot_core.recipe import Sampling
from parrot_core.stages.capo.negatives import ContextQuery, Negative, Writers, shortened
from parrot_core.stages.capo.rewriting import rewrite
from parrot_core.stages.fitness import Unfit, fit_text

_ATTEMPTS = 2
_VERDICT_TOKENS = 16


async def write(query: ContextQuery, writers: Writers, sampling: Sampling, seed: int) -> Negative:
    """Let the model answer, and keep what it answers only where the rubric fails it.

    Raises:
        Unfit: the query needs no history, or the answer gets it right.
        EngineError: see :meth:`ChatModel.complete`.
    """
    assert writers.policy is not None
    assert writers.judge is not None
    complete = await rewrite(query, writers.writer, sampling)
    asked: list[Message] = [*query.history, {"role": "user", "content": query.query}]
    name = f"{query.id}/on_policy"
    completion = await writers.policy.complete(asked, sampling, sample=f"{name}/answer")
    text = fit_text(completion, keep_truncated=True, empty="negative_empty")
    prompts = prompts_for(query.language)
    rubric = prompts.rubric.messages(query=complete.text, referent=complete.referent, answer=text)
    said, right = await ask_until_read(
        writers.judge,
        rubric,
        shortened(sampling.model_copy(update={"temperature": 0}), _VERDICT_TOKENS),
        parse_verdict,
        sample=f"{name}/rubric",
        attempts=_ATTEMPTS,
    )
    if right is None:
        raise Unfit("unparsable_verdict", said[:200])
    if right:
        raise Unfit("negative_passes", f"about '{complete.referent}': {text[:200]}")
    return Negative(text, complete.referent, "writer", prompts.prompt_set, completion)
