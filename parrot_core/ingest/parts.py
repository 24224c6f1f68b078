"""Joins the parts of sessions that a dump has split, where they fit.

ShareGPT's dumps cut long sessions into records ``X_0``, ``X_7`` …, the number being the place of
the part's first message. A part begins where the one before ends, or repeats its last message.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from parrot_core.ingest.rules.rule import Messages


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of a record without its messages."""

    session: str
    is_part: bool
    first: int  # place of its first message in the session
    length: int  # messages
    id: str
    source: str
    record_index: int
    order: int  # place of the record among all
    place: int  # where its messages are


@dataclass(slots=True)
class Joined:
    """A session put together from one record or more."""

    parts: list[Part]
    messages: Messages

    @property
    def end(self) -> int:
        """Place after its last message."""
        return self.parts[0].first + len(self.messages)


def join(parts: Sequence[Part], read: Callable[[Part], Messages]) -> Iterator[Joined]:
    """Yield the sessions that the records of one session id make, a session at a time.

    Records that contradict each other (two texts at one place) show that the id isn't one
    session's: then none are joined. A gap begins a new session.

    Args:
        parts: all records of the id.
        read: a record's messages.
    """
    ordered = sorted(parts, key=lambda part: (part.first, -part.length, part.id))
    joinable = len(ordered) > 1 and all(p.is_part for p in ordered) and _agree(ordered, read)
    session: Joined | None = None
    for part in ordered:
        messages = read(part)
        if session is not None and joinable and part.first <= session.end:
            session.parts.append(part)
            session.messages += messages[session.end - part.first :]
            continue
        if session is not None:
            yield session
        session = Joined([part], messages)
    if session is not None:
        yield session


def _agree(parts: Sequence[Part], read: Callable[[Part], Messages]) -> bool:
    """Whether all messages that are there twice are the same."""
    before: Messages = []
    start = 0
    for part in parts:
        messages = read(part)
        shared = start + len(before) - part.first
        if shared > 0:
            offset = part.first - start
            again = before[offset : offset + len(messages)]
            if again != messages[: len(again)]:
                return False
        if shared < len(messages):
            start, before = part.first, messages
    return True
