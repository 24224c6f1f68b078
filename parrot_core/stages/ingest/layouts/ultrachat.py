"""UltraChat's layouts: the original's alternating texts, and UltraChat 200K's messages.

``{"id": "0", "data": [query, response, …]}`` in the files of Ding et al. (2023), and
``{"prompt": …, "prompt_id": …, "messages": [{"role": …, "content": …}, …]}`` in the Hub's
``HuggingFaceH4/ultrachat_200k``, whose ``prompt`` is the first message once more.
"""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, Reading, id_under
from parrot_core.stages.ingest.layouts.turns import as_list, has_turns, list_under

EXPECTED = '{"id": …, "data": [query, response, …]}'


def _looks_like(record: object) -> bool:
    if not isinstance(record, dict):
        return False
    texts = as_list(record.get("data"))
    if texts is not None:
        return bool(texts) and all(isinstance(text, str) for text in texts)
    return "prompt" in record and "prompt_id" in record and has_turns(record, ("messages",))


def _parse(record: object, reading: Reading) -> list[Message] | Misfit:
    texts = as_list(record.get("data")) if isinstance(record, dict) else None
    if texts is None:
        return list_under(("messages",), EXPECTED)(record, reading)
    messages: list[Message] = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            return Misfit(f"data[{number}]: expected a text")
        messages.append({"role": "assistant" if number % 2 else "user", "content": text})
    return messages


LAYOUT = Layout("ultrachat", EXPECTED, _looks_like, id_under("id", "prompt_id"), _parse, rank=3)
