"""Baize's layout: the whole dialogue as one text with markers of who speaks.

``{"topic": …, "input": "The conversation between human and AI assistant.\\n[|Human|] … [|AI|] …"}``
(Xu et al. 2023). What stands before the first marker is the instruction, not the dialogue, and the
last marker mostly has no text behind it: the session ends there.
"""

import re

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, Reading, id_under, misfit

EXPECTED = '{"input": "…[|Human|] … [|AI|] …"}'

_MARKER = re.compile(r"\[\|(Human|AI)\|\]")


def _looks_like(record: object) -> bool:
    text = record.get("input") if isinstance(record, dict) else None
    return isinstance(text, str) and "[|Human|]" in text


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    text = record.get("input") if isinstance(record, dict) else None
    if not isinstance(text, str):
        return misfit(record, EXPECTED)
    _, *parts = _MARKER.split(text)
    if text and not parts:
        return Misfit(f"input: found no marker [|Human|] in the text, expected {EXPECTED}")
    messages: list[Message] = []
    for speaker, content in zip(parts[::2], parts[1::2], strict=True):
        messages.append({"role": "user" if speaker == "Human" else "assistant", "content": content})
    if messages and not messages[-1]["content"].strip():
        del messages[-1]
    return messages


LAYOUT = Layout("baize", EXPECTED, _looks_like, id_under("id"), _parse, rank=3)
