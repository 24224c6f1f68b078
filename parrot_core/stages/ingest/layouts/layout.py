"""What a source layout is: it tells its records from others and reads them into messages."""

import re
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
    "model": "assistant",
    "system": "system",
    "developer": "system",
}

_PART = re.compile(r"(?P<base>.+)_(?P<part>\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SessionId:
    """A record's id, taken apart: dumps split long sessions into ``X_0``, ``X_7`` …"""

    base: str
    part: int | None  # index of the part's first message in the session; None: not split

    @property
    def opens_session(self) -> bool:
        """Whether the record holds the session's beginning."""
        return self.part in (None, 0)


def parse_id(record_id: str) -> SessionId:
    """Take a record id apart. All parts of one session share ``base``."""
    match = _PART.fullmatch(record_id)
    return SessionId(match["base"], int(match["part"])) if match else SessionId(record_id, None)


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

    def session_of(self, record_id: str) -> SessionId:
        """The session that the record of this id is, or is a part of."""
        return parse_id(record_id) if self.splits_sessions else SessionId(record_id, None)


def describe(record: object) -> str:
    """What a record is, in a few words."""
    if isinstance(record, dict):
        keys = ", ".join(repr(key)[:40] for key in list(record)[:6]) or "no keys"
        return f"an object with {keys}"
    return {list: "an array", str: "a string", type(None): "null"}.get(type(record), "a number")


def id_under(*keys: str) -> Callable[[object], str | None]:
    """Read a record's id from the first of these keys that holds a non-empty text or an integer."""

    def record_id(record: object) -> str | None:
        if not isinstance(record, dict):
            return None
        for key in keys:
            value = record.get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
            if isinstance(value, str) and value:
                return value
        return None

    return record_id


def has_speakers(turns: object, *keys: str) -> bool:
    """Whether it is a list of objects that have these keys."""
    return isinstance(turns, list) and all(
        isinstance(turn, dict) and all(key in turn for key in keys) for turn in turns
    )


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


def role_messages(turns: list[object], field: str) -> list[Message] | Misfit:
    """The messages of a list of ``{role, content}``, also with OpenAI's lists of content parts."""
    plain: list[object] = []
    for number, turn in enumerate(turns):
        parts = turn.get("content") if isinstance(turn, dict) else None
        if not isinstance(turn, dict) or not isinstance(parts, list):
            plain.append(turn)
            continue
        texts = [_part_text(part) for part in parts]
        if any(text is None for text in texts):
            return Misfit(f"{field}[{number}]: a content part that isn't text")
        plain.append({"role": turn.get("role"), "content": "\n".join(map(str, texts))})
    return speaker_messages(plain, field, "role", "content")


def _part_text(part: object) -> str | None:
    if isinstance(part, dict):
        part = (
            part.get("text") if part.get("type") in ("text", "input_text", "output_text") else None
        )
    return part if isinstance(part, str) else None
