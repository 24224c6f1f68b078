"""A session as the measures see it: queries with their responses, in order."""

from collections.abc import Sequence
from dataclasses import dataclass

from parrot_core.engines.types import Message


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation; ``responses[i]`` answers ``queries[i]`` and is empty where nobody did."""

    id: str
    language: str | None  # ISO 639-1; None where nobody has said
    queries: tuple[str, ...]
    responses: tuple[str, ...]
    group: str | None = None  # shared with other parts of its session, and with what is like it

    @property
    def whole(self) -> str:
        """What must not be cut in two by a split: its group, or itself."""
        return self.group or self.id

    @property
    def turns(self) -> int:
        return len(self.queries)

    def history(self, turn: int) -> tuple[Message, ...]:
        """The messages before the query of a turn; turns are counted from 1."""
        messages: list[Message] = []
        for query, response in zip(self.queries[: turn - 1], self.responses, strict=False):
            messages.append({"role": "user", "content": query})
            if response:
                messages.append({"role": "assistant", "content": response})
        return tuple(messages)


def session_of(
    id: str, language: str | None, messages: Sequence[Message], group: str | None = None
) -> Session:
    """Pair each user message with the assistant's messages that follow it; others are left out."""
    queries: list[str] = []
    responses: list[list[str]] = []
    for message in messages:
        if message["role"] == "user":
            queries.append(message["content"])
            responses.append([])
        elif message["role"] == "assistant" and queries:
            responses[-1].append(message["content"])
    answers = tuple("\n\n".join(said) for said in responses)
    return Session(id, language, tuple(queries), answers, group)
