"""Check: a query on a topic that no training dialogue should be about."""

from collections.abc import Sequence

from parrot_core.engines.types import Message
from parrot_core.stages.filters.rules.sensitive import TOPICS
from parrot_core.stages.ingest.rules.gate import Gate
from parrot_core.stages.ingest.rules.rule import ChosenCheck

GATE = Gate(tuple(f"(?i:{p.pattern})".replace(r"\b", "") for p in TOPICS.values()), "user")
"""The patterns themselves."""


def sensitive(messages: Sequence[Message]) -> str | None:
    """The filter's topics, over all queries of a session."""
    for place, message in enumerate(messages):
        if message["role"] == "user":
            for topic, pattern in TOPICS.items():
                if pattern.search(message["content"]):
                    return f"query {place // 2 + 1}: {topic}"
    return None


CHECK = ChosenCheck(sensitive, "a query on a sensitive topic, and the recipe keeps none such", GATE)
