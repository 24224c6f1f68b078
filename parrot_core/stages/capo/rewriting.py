"""Complete a query from its history in one call: what it leaves out is then in it, in words."""

from dataclasses import dataclass
from difflib import SequenceMatcher

from parrot_core.engines.types import ChatModel
from parrot_core.judging.asking import complete_thinking
from parrot_core.judging.prompts import prompts_for
from parrot_core.recipe import Sampling
from parrot_core.stages.capo.negatives import ContextQuery, content_words, shortened
from parrot_core.stages.fitness import Unfit

REWRITE_TOKENS = 160


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A query that stands alone, and the words in it that came from the history."""

    text: str
    referent: str


async def rewrite(query: ContextQuery, writer: ChatModel, sampling: Sampling) -> Rewrite:
    """Ask the writer for the complete query; the same request is paid for once.

    Raises:
        Unfit: nothing was added, so the query did not depend on its history.
        EngineError: see :meth:`ChatModel.complete`.
    """
    prompts = prompts_for(query.language)
    completion = await complete_thinking(
        writer,
        prompts.rewrite.messages(history=prompts.transcript(query.history), query=query.query),
        shortened(sampling, REWRITE_TOKENS),
        sample=f"{query.id}/rewrite",
    )
    lines = [line.strip(' \t"“”') for line in completion.text.splitlines()]
    text = next((line for line in lines if line), "")
    referent = _added(query.query, text)
    if not content_words(referent) - content_words(query.query):
        raise Unfit("not_dependent", f"completed from its history the query stays: {text[:200]}")
    return Rewrite(text, referent)


def _added(query: str, text: str) -> str:
    """The longest run of words that a rewrite has and its query hasn't."""
    old, new = query.split(), text.split()
    matcher = SequenceMatcher(None, [w.lower() for w in old], [w.lower() for w in new], False)
    runs = [new[c:d] for kind, _, _, c, d in matcher.get_opcodes() if kind in ("insert", "replace")]
    longest = max(runs, key=lambda run: len(content_words(" ".join(run))), default=[])
    return " ".join(longest).strip(" .,?!;:")
