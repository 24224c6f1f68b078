"""A leaner yardstick: like run_bare.py, with the transport and the call that the factory uses.

Usage: python bench/peers/run_lean.py --base-url URL --sessions 100 --folder DIR
"""

import asyncio
from typing import Any

import httpx2
import openai
from measured import Work, measure
from openai.types.chat import ChatCompletion
from run_bare import dialogues


async def as_the_factory_does(client: openai.AsyncOpenAI, model: str, messages: list[Any]) -> str:
    """One completion, its body sent as it is."""
    body = {"model": model, "messages": messages, "max_completion_tokens": 512}
    answer = await client.post("/chat/completions", cast_to=ChatCompletion, body=body)
    return answer.choices[0].message.content or ""


async def _converse(work: Work) -> int:
    transport = openai.DefaultAioHttpClient(limits=httpx2.Limits(max_connections=0))
    async with openai.AsyncOpenAI(
        base_url=work.base_url, api_key="none", max_retries=20, http_client=transport
    ) as client:
        return await dialogues(work, client, as_the_factory_does)


if __name__ == "__main__":
    measure(__doc__ or "", lambda work: asyncio.run(_converse(work)))
