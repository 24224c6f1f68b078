"""One session: answer, ask, answer, ask … until its target number of turns (paper §3.2).

A session is a coroutine that knows two callbacks and nothing of engines, queues or storage.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from parrot_core.engines.types import Completion, Message, RowError

Speak = Callable[[list[Message], int], Awaitable[Completion]]
"""Writes the next message, given the conversation so far and the number of the turn it is for."""

EndReason = Literal[
    "max_turns",
    "empty_query",
    "repeated_query",
    "empty_response",
    "context_full",
    "content_filter",
    "request_refused",
    "provider_error",
]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A finished session: every query in it has its response."""

    messages: list[Message]
    completions: list[Completion | None]  # one a message; None for the seed, which a human wrote
    end_reason: str

    @property
    def n_turns(self) -> int:
        """Queries with their responses."""
        return len(self.messages) // 2


async def converse(opening: str, ask: Speak, answer: Speak, max_turns: int) -> Dialogue:
    """Let asker and answerer talk until ``max_turns``, or until one of them can't go on.

    A query that stays without a response is dropped, so that a dialogue always ends with an
    answer. Errors that concern more than this session propagate.

    Args:
        opening: the first query.
        ask: writes the next query; the conversation it gets ends with a response.
        answer: writes the response; the conversation it gets ends with a query.
        max_turns: turns after which the session is complete.
    """
    messages: list[Message] = []
    completions: list[Completion | None] = []
    query, asked = opening, None
    asked_before: set[str] = set()
    for turn in range(1, max_turns + 1):
        asked_before.add(_normalised(query))
        conversation: list[Message] = [*messages, {"role": "user", "content": query}]
        try:
            response = await answer(conversation, turn)
        except RowError as error:
            return Dialogue(messages, completions, error.reason)
        if not response.text:
            return Dialogue(messages, completions, "empty_response")
        messages = [*conversation, {"role": "assistant", "content": response.text}]
        completions += [asked, response]
        if turn == max_turns:
            break
        try:
            asked = await ask(list(messages), turn + 1)
        except RowError as error:
            return Dialogue(messages, completions, error.reason)
        query = asked.text
        if not query:
            return Dialogue(messages, completions, "empty_query")
        if _normalised(query) in asked_before:
            return Dialogue(messages, completions, "repeated_query")
    return Dialogue(messages, completions, "max_turns")


def _normalised(query: str) -> str:
    return " ".join(query.casefold().split())
