"""A query that depends on its history, and a strategy's negative to it by a scripted writer."""

import asyncio
from dataclasses import replace
from typing import Any

from parrot_core.engines.types import Message
from parrot_core.recipe import Sampling
from parrot_core.stages.capo.negatives import ContextQuery, Negative, Writers
from parrot_core.stages.capo.strategies import NEGATIVES
from tests.support.lakes.scripted_model import ScriptedModel

TURNS = (
    ("How do I grow tomatoes?", "Plant seedlings in a sunny place. Water the beds often."),
    ("What is the Eiffel Tower?", "An iron tower in Paris.\nGustave opened the tower in 1889."),
)
HISTORY: tuple[Message, ...] = tuple(
    message
    for query, answer in TURNS
    for message in (
        Message(role="user", content=query),
        Message(role="assistant", content=answer),
    )
)
QUERY = ContextQuery("s/t3", "en", 3, HISTORY, "How tall is it?", "The tower is 330 metres tall.")


def write(strategy: str, model: ScriptedModel, seed: int = 7, **changed: Any) -> Negative:
    """What a strategy makes of the query; one model writes, answers and judges."""

    async def main() -> Negative:
        query = replace(QUERY, **changed)
        return await NEGATIVES[strategy](
            query, Writers(model, model, model), Sampling(max_tokens=200), seed
        )

    return asyncio.run(main())
