"""Asks a judge again until its reply can be read; what can't be read is never guessed.

A model that thinks first gets room for it where a short reply is expected.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from parrot_core.engines.types import ChatModel, Completion, LimitUsedUp, Message
from parrot_core.recipe import Sampling

T = TypeVar("T")

WARM = 0.7
"""Temperature of further attempts, at least: a greedy judge would only repeat itself."""


THINKING_TOKENS = 4096
"""Limit of the second try of a short reply whose limit went into thinking."""


_NAMES = {"user": "User", "assistant": "Assistant", "system": "System"}


def transcript(messages: Sequence[Message]) -> str:
    """Messages as a judge reads them, each after the name of its speaker."""
    return "\n\n".join(f"{_NAMES[each['role']]}: {each['content']}" for each in messages)


async def complete_thinking(
    model: ChatModel, asked: Sequence[Message], sampling: Sampling, *, sample: str
) -> Completion:
    """A short reply; where thinking used up its limit of tokens, once more with room for that.

    Raises:
        EngineError: see :meth:`ChatModel.complete`.
    """
    roomy = sampling.model_copy(update={"max_tokens": THINKING_TOKENS})
    may_grow = sampling.max_tokens < THINKING_TOKENS
    try:
        reply = await model.complete(asked, sampling, sample=sample)
        if not (may_grow and reply.thinking and reply.finish_reason == "length"):
            return reply
    except LimitUsedUp:
        if not may_grow:
            raise
    return await model.complete(asked, roomy, sample=f"{sample}/roomy")


async def ask_until_read(
    judge: ChatModel,
    asked: Sequence[Message],
    sampling: Sampling,
    read: Callable[[str], T | None],
    *,
    sample: str,
    attempts: int,
) -> tuple[str, T | None]:
    """The judge's last reply and what it means; None if no attempt could be read.

    Args:
        read: the meaning of a reply, None for none.
        sample: names the completion; ``/0``, ``/1`` … is put behind it.

    Raises:
        EngineError: see :meth:`ChatModel.complete`.
    """
    text = ""
    for attempt in range(attempts):
        if attempt:
            warm = max(sampling.temperature, WARM)
            sampling = sampling.model_copy(update={"temperature": warm})
        completion = await complete_thinking(judge, asked, sampling, sample=f"{sample}/{attempt}")
        text = completion.text.strip()
        meaning = read(text)
        if meaning is not None:
            return text, meaning
    return text, None
