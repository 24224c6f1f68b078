"""UltraChat's layouts: the original's alternating texts, and UltraChat 200K's messages.

``{"id": "0", "data": [query, response, …]}`` in the files of Ding et al. (2023), and
``{"prompt": …, "prompt_id": …, "messages": [{"role": …, "content": …}, …]}`` in the Hub's
``HuggingFaceH4/ultrachat_200k``, whose ``prompt`` is the first message once more.
"""

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts.layout import (
    Layout,
    Misfit,
    describe,
    has_speakers,
    id_under,
    role_messages,
)

EXPECTED = '{"id": …, "data": [query, response, …]}'


def _looks_like(record: object) -> bool:
    if not isinstance(record, dict):
        return False
    texts = record.get("data")
    if isinstance(texts, list):
        return bool(texts) and all(isinstance(text, str) for text in texts)
    messages = record.get("messages")
    return "prompt" in record and "prompt_id" in record and has_speakers(messages, "role")


def _read(record: object) -> list[Message] | Misfit:
    texts = record.get("data") if isinstance(record, dict) else None
    if texts is None and isinstance(record, dict) and isinstance(record.get("messages"), list):
        return role_messages(record["messages"], "messages")
    if not isinstance(texts, list):
        return Misfit(f"found {describe(record)}, expected {EXPECTED}")
    messages: list[Message] = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            return Misfit(f"data[{number}]: expected a text")
        messages.append({"role": "assistant" if number % 2 else "user", "content": text})
    return messages


ULTRACHAT = Layout("ultrachat", EXPECTED, _looks_like, id_under("id", "prompt_id"), _read)
