"""Check: an answer that refuses, or that speaks of itself as a model without powers."""

from collections.abc import Sequence

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.rules.gate import Gate
from parrot_core.stages.ingest.rules.rule import ChosenCheck
from parrot_core.text.refusals import refuses

_READ = 400


def refusal(messages: Sequence[Message]) -> str | None:
    """Told from the beginning of each answer, in English and Chinese."""
    for place, message in enumerate(messages):
        start = message["content"][:_READ]
        if message["role"] == "assistant" and refuses(start):
            return f"answer {place // 2 + 1}: {start[:80]}"
    return None


CHECK = ChosenCheck(
    refusal, "an answer refuses, and the recipe keeps none such", Gate(role="assistant")
)
