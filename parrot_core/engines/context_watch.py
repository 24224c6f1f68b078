"""Notices a server that cuts its context in silence: the conversation grew, its prompt shrank.

A server whose context is smaller than it says (Ollama's ``num_ctx``, llama.cpp's ``--ctx-size``, a
proxy in between) drops the beginning of a conversation and answers as if nothing were amiss. Only
its count of prompt tokens tells.
"""

import re
from collections.abc import Sequence

from parrot_core.engines.types import Message

_TURN = re.compile(r"/t\d+(?=/|$)")


class ContextWatch:
    """The last prompt of each speaker of each session, for one engine in one shard."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Sequence[Message], int]] = {}

    def shrank(self, sample: str, messages: Sequence[Message], prompt_tokens: int) -> bool:
        """Whether fewer tokens were read than at an earlier turn, of which this is a continuation.

        Args:
            sample: which completion it is, such as ``s1/t3/answer``.
            messages: what was asked.
            prompt_tokens: what the server says it read; 0 if it doesn't say.
        """
        if not prompt_tokens:
            return False
        speaker = _TURN.sub("", sample)
        before, tokens = self._last.get(speaker, ((), 0))
        self._last[speaker] = (messages, prompt_tokens)
        goes_on = len(messages) > len(before) and list(messages[: len(before)]) == list(before)
        return goes_on and prompt_tokens < tokens


def cut_words(engine: str) -> str:
    """What is to be said of an engine whose prompts shrank."""
    return (
        f"engine '{engine}' seems to cut its context: of a conversation that had grown it read "
        "fewer prompt tokens than before; answers don't know its beginning. Give its server a "
        "larger context, or let dialogues have fewer turns"
    )
