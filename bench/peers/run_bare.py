"""The yardstick: the same dialogues with nothing but the openai client, kept in memory and lost.

Usage: python bench/peers/run_bare.py --base-url URL --sessions 100 --folder DIR
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import openai
from measured import Work, measure

Ask = Callable[[openai.AsyncOpenAI, str, list[Any]], Awaitable[str]]


async def as_documented(client: openai.AsyncOpenAI, model: str, messages: list[Any]) -> str:
    """One completion, as the client's documentation asks for it."""
    answer = await client.chat.completions.create(
        model=model, messages=messages, max_completion_tokens=512
    )
    return answer.choices[0].message.content or ""


async def dialogues(work: Work, client: openai.AsyncOpenAI, ask: Ask) -> int:
    """Hold all dialogues at once; returns how many there were."""
    places = {name: asyncio.Semaphore(work.concurrency) for name in ("asker", "answerer")}

    async def speak(model: str, messages: list[Any]) -> str:
        async with places[model]:
            return await ask(client, model, messages)

    async def dialogue(opening: str) -> list[Any]:
        messages = [{"role": "user", "content": opening}]
        for turn in range(work.turns):
            reply = await speak("answerer", messages)
            messages.append({"role": "assistant", "content": reply})
            if turn + 1 < work.turns:
                messages.append({"role": "user", "content": await speak("asker", messages)})
        return messages

    return len(await asyncio.gather(*map(dialogue, work.openings())))


async def _converse(work: Work) -> int:
    client = openai.AsyncOpenAI(base_url=work.base_url, api_key="none", max_retries=20)
    return await dialogues(work, client, as_documented)


if __name__ == "__main__":
    measure(__doc__ or "", lambda work: asyncio.run(_converse(work)))
