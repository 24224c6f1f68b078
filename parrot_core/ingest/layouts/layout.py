"""What a source layout is: it tells its records from others and reads them into messages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from parrot_core.engines.types import Message, Role

SPEAKERS: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "system": "system",
}


@dataclass(frozen=True, slots=True)
class Misfit:
    """A record that isn't in the layout, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to write a conversation as a record; a new one is a file here and a registry line."""

    name: str
    expected: str
    """What a record looks like, for the error that says that something else was found."""
    looks_like: Callable[[object], bool]
    """Whether a record is in this layout, as far as its shape goes; cheap."""
    record_id: Callable[[object], str | None]
    """The id that a record carries, if it carries a usable one."""
    read: Callable[[object], list[Message] | Misfit]
    """The record's messages as they are: not cleaned, possibly none."""
    splits_sessions: bool = False
    """Whether ``X_0``, ``X_7`` … are the parts of one long session ``X``."""


def describe(record: object) -> str:
    """What a record is, in a few words."""
    if isinstance(record, dict):
        keys = ", ".join(repr(key)[:40] for key in list(record)[:6]) or "no keys"
        return f"an object with {keys}"
    return {list: "an array", str: "a string", type(None): "null"}.get(type(record), "a number")


def usable_id(value: object) -> str | None:
    """An id as text: a non-empty string or an integer."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def speaker_messages(
    turns: list[object], field: str, speaker_key: str, text_key: str
) -> list[Message] | Misfit:
    """The messages of a list of objects that name who speaks and what is said.

    Args:
        turns: the list.
        field: its name in the record, for the reason of a misfit.
        speaker_key: the key of the speaker, one of ``SPEAKERS`` in any case.
        text_key: the key of the text.
    """
    messages: list[Message] = []
    for number, turn in enumerate(turns):
        speaker = turn.get(speaker_key) if isinstance(turn, dict) else None
        content = turn.get(text_key) if isinstance(turn, dict) else None
        if not isinstance(speaker, str) or not isinstance(content, str):
            wanted = f"expected text in '{speaker_key}' and '{text_key}'"
            return Misfit(f"{field}[{number}]: {wanted}")
        role = SPEAKERS.get(speaker) or SPEAKERS.get(speaker.strip().lower())
        if role is None:
            known = ", ".join(SPEAKERS)
            return Misfit(f"{field}[{number}]: speaker {speaker[:40]!r}, expected one of {known}")
        messages.append({"role": role, "content": content})
    return messages
