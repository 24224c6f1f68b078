"""``{"prompt": …, "completion": …}``: texts for one turn, or lists of turns, as TRL takes them.

Of a preference pair, ``{"prompt": …, "chosen": …, "rejected": …}``, the chosen one is read.
"""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, Reading, id_under, misfit
from parrot_core.stages.ingest.layouts.turns import as_list, turn_messages

EXPECTED = '{"prompt": …, "completion": …}'
_PROMPTS = ("prompt", "question", "query")
_COMPLETIONS = ("completion", "response", "answer", "chosen")


def _under(record: object, keys: tuple[str, ...]) -> object:
    if not isinstance(record, dict):
        return None
    return next((record[key] for key in keys if record.get(key) is not None), None)


def _looks_like(record: object) -> bool:
    prompt, completion = _under(record, _PROMPTS), _under(record, _COMPLETIONS)
    if as_list(completion) is not None:
        return prompt is None or isinstance(prompt, str) or as_list(prompt) is not None
    return isinstance(completion, str) and (isinstance(prompt, str) or as_list(prompt) is not None)


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    turns: list[object] = []
    for keys, role in ((_PROMPTS, "user"), (_COMPLETIONS, "assistant")):
        side = _under(record, keys)
        if (listed := as_list(side)) is not None:
            turns = [*(turn for turn in turns if turn not in listed), *listed]
        elif isinstance(side, str):
            turns.append({"role": role, "content": side})
        elif side is not None or role == "assistant":
            return misfit(record, EXPECTED)
    return turn_messages(record, turns, "prompt and completion", reading)


LAYOUT = Layout(
    "prompt_completion", EXPECTED, _looks_like, id_under("id", "prompt_id"), _parse, rank=-1
)
