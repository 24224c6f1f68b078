"""ChatML text, as templates write it: ``"<|im_start|>user\\n…<|im_end|>\\n<|im_start|>…"``."""

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
from parrot_core.stages.ingest.layouts.turns import LIST_KEYS, turn_messages

EXPECTED = '{"text": "<|im_start|>user\\n…<|im_end|>\\n…"}'
_KEYS = ("text", "content", "prompt", "chatml", *LIST_KEYS)
_TURN = re.compile(
    r"<\|im_start\|>[ \t]*(?P<role>[\w.-]+)[^\n]*\n(?P<text>.*?)"
    r"(?P<end><\|im_end\|>|(?=<\|im_start\|>)|\Z)",
    re.DOTALL,
)


def _looks_like(record: object) -> bool:
    text = text_under(record, *_KEYS)
    return text is not None and text.lstrip().startswith("<|im_start|>")


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    text = text_under(record, *_KEYS)
    if text is None:
        return misfit(record, EXPECTED)
    found = list(_TURN.finditer(text))
    if not found:
        return Misfit(f"found no <|im_start|> in the text, expected {EXPECTED}")
    # A last turn without text is where a model is to go on.
    turns = [{"role": turn["role"], "content": turn["text"]} for turn in found]
    while turns and not turns[-1]["content"].strip():
        turns.pop()
    return turn_messages(record, turns, "turn", reading)


LAYOUT = Layout("chatml", EXPECTED, _looks_like, id_under("id"), _parse, rank=5)
