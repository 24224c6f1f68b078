"""Check: an answer in which another vendor's assistant speaks of itself."""

import re
from collections.abc import Sequence

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.rules.gate import Gate
from parrot_core.stages.ingest.rules.rule import ChosenCheck

_NAMES = r"(?:ChatGPT|GPT-?[345][\w.-]*|OpenAI|Anthropic|Claude|Google Bard|Bard|Bing Chat|Gemini)"
_MAKERS = r"(?:OpenAI|Anthropic|Google|Microsoft|Meta|DeepMind)"
_SPEAKS_OF_ITSELF = re.compile(
    rf"\b(?:I am|I'm|I’m|my name is|call me|this is) {_NAMES}\b"
    rf"|\b(?:[Aa]s|I am|I'm|I’m) an? (?:AI|artificial|large|language)[^.\n]{{0,60}}?"
    rf"\b(?:developed|created|trained|made|built|designed) by {_MAKERS}\b"
    rf"|\b(?:I was|I am|I'm|I’m) (?:developed|created|trained|made|built) by {_MAKERS}\b"
    rf"|\b[Aa]s {_NAMES},? I\b|我是(?:由)?\s*(?:{_NAMES}|文心一言|通义千问)"
    rf"|由\s*{_MAKERS}\s*(?:开发|训练)",
)

GATE = Gate(
    (
        rf"(?:I am|I'm|I’m|name is|call me|this is) {_NAMES}",
        rf"(?:by|由)\s*{_MAKERS}",
        rf"[Aa]s {_NAMES}",
        "我是",
    ),
    "assistant",
)
"""What an answer must hold to be looked at."""


def other_vendor(messages: Sequence[Message]) -> str | None:
    """Names alone are no find: people ask about ChatGPT, and Claude Shannon is a person."""
    for place, message in enumerate(messages):
        found = _SPEAKS_OF_ITSELF.search(message["content"])
        if found and message["role"] == "assistant":
            return f"answer {place // 2 + 1}: {found[0][:80]}"
    return None


CHECK = ChosenCheck(
    other_vendor, "an answer speaks as another vendor's model, and the recipe keeps none such", GATE
)
