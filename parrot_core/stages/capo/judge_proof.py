"""A judge of context dependence proves itself on queries whose label is known."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass

from parrot_core.context.labelled import LabelledQuery, labelled_queries
from parrot_core.engines.types import ChatModel, RowError
from parrot_core.estimates import cohens_kappa
from parrot_core.judging.depends import judge_dependence
from parrot_core.recipe import Select


@dataclass(frozen=True, slots=True)
class JudgeProof:
    """What a judge said of queries, half of which depend on their history."""

    right: int
    yes: int
    unreadable: int  # or not answered
    asked: int
    kappa: float  # Cohen's; what can't be read agrees with nothing

    def as_json(self) -> dict[str, float]:
        return {
            "asked": self.asked,
            "kappa": round(self.kappa, 3),
            "yes_share": round(self.yes / self.asked, 3) if self.asked else 0.0,
            "unreadable": self.unreadable,
        }

    def sentence(self, wanted: float) -> str:
        """Why it isn't to be believed."""
        return (
            f"it agrees with {self.right} of {self.asked} labelled queries (κ {self.kappa:.2f}, "
            f"expected at least {wanted:g}) and says yes to {self.yes}; take a stronger judge, or "
            "set select.judge: null"
        )


async def prove_judge(judge: ChatModel, settings: Select, seed: int) -> JudgeProof:
    """Ask about labelled English queries, as many that depend on their history as not.

    Raises:
        EngineError: the engine fails at more than a row.
    """
    asked = _drawn(settings.proof_queries, seed)
    room = asyncio.Semaphore(settings.queries_in_flight)

    async def ask(query: LabelledQuery) -> bool | None:
        async with room:
            try:
                verdict = await judge_dependence(
                    f"proof/{query.id}",
                    query.history,
                    query.query,
                    query.language,
                    judge,
                    settings.verdict,
                )
            except RowError:
                return None
        return verdict.depends

    verdicts = await asyncio.gather(*map(ask, asked))
    counts = Counter(verdicts)
    pairs = [(query.depends, verdict) for query, verdict in zip(asked, verdicts, strict=True)]
    right = sum(label == verdict for label, verdict in pairs)
    kappa = cohens_kappa(pairs) or 0.0
    return JudgeProof(right, counts[True], counts[None], len(asked), kappa)


def _drawn(number: int, seed: int) -> list[LabelledQuery]:
    choice = random.Random(f"{seed}/judge-proof")
    found = [query for query in labelled_queries("test") if query.language == "en"]
    sides = [[query for query in found if query.depends is depends] for depends in (True, False)]
    most = min(number // 2, *map(len, sides))
    return [query for side in sides for query in choice.sample(side, most)]
