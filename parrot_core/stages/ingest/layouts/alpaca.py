"""Alpaca's triples, ``{"instruction": …, "input": …, "output": …}``: one turn a record.

LLaMA-Factory adds earlier turns, ``"history": [[query, answer], …]``, and ``"system"``.
"""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, Reading, id_under, misfit
from parrot_core.stages.ingest.layouts.turns import as_list, turn_messages

EXPECTED = '{"instruction": …, "input": …, "output": …}'
_ANSWERS = ("output", "response")


def _answer(record: dict[object, object]) -> object:
    return next((record[key] for key in _ANSWERS if key in record), None)


def _looks_like(record: object) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("instruction"), str)
        and isinstance(_answer(record), str)
    )


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    if not isinstance(record, dict):
        return misfit(record, EXPECTED)
    instruction, answer = record.get("instruction"), _answer(record)
    more = record.get("input", record.get("context"))
    if not isinstance(instruction, str) or not isinstance(answer, str):
        return Misfit(f"expected text in 'instruction' and 'output', as in {EXPECTED}")
    if more is not None and not isinstance(more, str):
        return Misfit("input: expected a text")
    query = "\n\n".join(text for text in (instruction, more or "") if text.strip())
    earlier = as_list(record.get("history")) or []
    return turn_messages(record, [*earlier, [query, answer]], "history", reading)


LAYOUT = Layout("alpaca", EXPECTED, _looks_like, id_under("id"), _parse, rank=4)
