"""Anthropic's hh-rlhf: a transcript in one text, ``"\\n\\nHuman: …\\n\\nAssistant: …"``.

``{"chosen": …, "rejected": …}`` (Bai et al. 2022): the chosen one is read.
"""

import re

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import (
    Layout,
    Misfit,
    Reading,
    id_under,
    misfit,
    text_under,
)

EXPECTED = '{"chosen": "\\n\\nHuman: …\\n\\nAssistant: …"}'
_KEYS = ("chosen", "text", "transcript", "dialogue", "conversation")
_SPEAKER = re.compile(r"(?:\A|\n\n)\s*(Human|Assistant): ?")


def _looks_like(record: object) -> bool:
    text = text_under(record, *_KEYS)
    return text is not None and text.lstrip().startswith("Human:") and "\n\nAssistant:" in text


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    text = text_under(record, *_KEYS)
    if text is None:
        return misfit(record, EXPECTED)
    before, *parts = _SPEAKER.split(text)
    if before.strip() or not parts:
        return Misfit(f"found no transcript that begins with Human:, expected {EXPECTED}")
    messages: list[Message] = []
    for speaker, content in zip(parts[::2], parts[1::2], strict=True):
        messages.append({"role": "user" if speaker == "Human" else "assistant", "content": content})
    return messages


LAYOUT = Layout("hh_rlhf", EXPECTED, _looks_like, id_under("id"), _parse, rank=3)
