"""A conversation as a list of turns, whatever the keys: who speaks, what is said, which tools.

Not a layout, but what most of them share. A list may also come as JSON text, as an object of
lists, or as pairs of query and answer.
"""

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

import orjson

from parrot_core.engines.types import Message, Role
from parrot_core.stages.ingest.layouts.layout import Misfit, Reading, misfit, text_under

SPEAKERS: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
}
TOOL_SPEAKERS = frozenset(
    (
        *("tool", "tools", "function", "function_call", "function_response", "function-call"),
        *("function-response", "observation", "tool_call", "tool_response", "tool_result"),
        "ipython",
    )
)
LIST_KEYS = (
    *("messages", "conversations", "conversation", "dialog", "dialogue", "dialogs", "dialogues"),
    *("turns", "chat", "chats", "utterances", "history"),
)
"""Under which a list of turns is looked for, the usual first."""
SPEAKER_KEYS = ("role", "from", "speaker", "author", "sender")
TEXT_KEYS = ("content", "value", "text", "message", "utterance")
SYSTEM_KEYS = ("system", "system_prompt", "system_message")
TOOL: Final = "tool"


class _Said(NamedTuple):
    """One turn: a role, or ``tool`` for a call or its result; and where it stands."""

    role: str
    content: str
    place: str
    by: str


def as_list(value: object) -> list[object] | None:
    """The list that a value is, that its text is as JSON, or that its lists make together."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        value = _from_text(value)
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        columns = zip_longest(*value.values())
        return [dict(zip(value, row, strict=True)) for row in columns]
    return value if isinstance(value, list) else None


def _from_text(text: str) -> object:
    """A value out of JSON, or out of what pandas writes into a CSV: Python's own notation."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def find_list(record: object, keys: Sequence[str] = LIST_KEYS) -> tuple[str, list[object]] | None:
    """The first list under one of the keys, and its key; a record that is a list by itself."""
    if isinstance(record, list):
        return "record", record
    if isinstance(record, dict):
        for key in keys:
            if (turns := as_list(record.get(key))) is not None:
                return key, turns
    return None


def has_turns(record: object, keys: Sequence[str], speaker: str = "", text: str = "") -> bool:
    """Whether a list of turns stands under one of the keys, with these keys inside if given."""
    found = find_list(record, keys)
    if found is None or (speaker and not isinstance(record, dict)):
        return False
    if speaker:
        return all(isinstance(turn, dict) and {speaker, text} <= turn.keys() for turn in found[1])
    return bool(found[1]) and all(map(_is_turn, found[1]))


def _is_turn(turn: object) -> bool:
    if isinstance(turn, dict):
        named = any(key in turn for key in SPEAKER_KEYS) and any(key in turn for key in TEXT_KEYS)
        return named or _exchange(turn) is not None
    return isinstance(turn, list) and len(turn) == 2 and all(isinstance(x, str) for x in turn)


def turn_messages(
    record: object, turns: Sequence[object], field: str, reading: Reading
) -> list[Message] | Misfit:
    """The messages of a list of turns, a top-level system prompt of the record before them."""
    messages = _plain(turns)
    if messages is None:
        said: list[_Said] = []
        for number, turn in enumerate(turns):
            read = _read(turn, f"{field}[{number}]", reading)
            if isinstance(read, Misfit):
                return read
            said += read
        settled = _without_tools(said, reading)
        if isinstance(settled, Misfit):
            return settled
        messages = settled
    return with_system(record, messages)


def list_under(
    keys: Sequence[str], expected: str
) -> Callable[[object, Reading], list[Message] | Misfit]:
    """Read a record's list of turns, which stands under the first of these keys."""

    def parse(record: object, reading: Reading) -> list[Message] | Misfit:
        found = find_list(record, keys)
        if found is None:
            return misfit(record, expected)
        return turn_messages(record, found[1], found[0], reading)

    return parse


def with_system(record: object, messages: list[Message]) -> list[Message]:
    """The record's own system prompt before its messages, if they have none."""
    known = isinstance(record, dict) and any(key in record for key in SYSTEM_KEYS)
    system = text_under(record, *SYSTEM_KEYS) if known else None
    if system is None or (messages and messages[0]["role"] == "system"):
        return messages
    return [{"role": "system", "content": system}, *messages]


def _plain(turns: Sequence[object]) -> list[Message] | None:
    """The quick way for what nearly all lists are: usual keys, usual speakers, texts."""
    first = turns[0] if turns else None
    if not isinstance(first, dict) or "tool_calls" in first or "function_call" in first:
        return None if turns else []
    speaker_key = "from" if "from" in first else "role"
    text_key = "value" if "value" in first else "content"
    messages: list[Message] = []
    for turn in turns:
        if not isinstance(turn, dict) or "tool_calls" in turn or "function_call" in turn:
            return None
        speaker, text = turn.get(speaker_key), turn.get(text_key)
        role = SPEAKERS.get(speaker) if isinstance(speaker, str) else None
        if role is None or not isinstance(text, str):
            return None
        messages.append({"role": role, "content": text})
    return messages


def _read(turn: object, place: str, reading: Reading) -> list[_Said] | Misfit:
    """What one element of the list says: a turn, or a query with its answer."""
    if isinstance(turn, list):
        turn = dict(zip(("user", "assistant"), turn, strict=False))
    if not isinstance(turn, dict):
        return Misfit(f"{place}: expected an object that names who speaks and what is said")
    speaker_key = next((key for key in SPEAKER_KEYS if turn.get(key) is not None), None)
    if speaker_key is None and (pair := _exchange(turn)) is not None:
        return [_Said(role, text, place, role) for role, text in zip(_PAIR, pair, strict=True)]
    called = turn.get("tool_calls") or turn.get("function_call")
    text_key = next((key for key in TEXT_KEYS if turn.get(key) is not None), None)
    speaker = _name(turn.get(speaker_key or ""))
    text = content_text(turn.get(text_key or ""))
    if called and text is None:
        text = ""
    if speaker is None or text is None:
        return Misfit(_unreadable(turn, place, speaker_key, text_key))
    role = _role(speaker, reading)
    if role is None:
        known = ", ".join((*SPEAKERS, *reading.speakers))
        return Misfit(
            f"{place}: speaker {speaker[:40]!r}, expected one of {known}; ingest.speakers in the "
            "recipe takes more"
        )
    if called:
        call = json.dumps(called, ensure_ascii=False, default=str)
        return [_Said(TOOL, f"{text}\n\n{call}".strip(), place, "tool_calls")]
    return [_Said(role, text, place, speaker)]


_PAIR: tuple[Role, Role] = ("user", "assistant")
_PAIR_KEYS = (("human", "user", "query", "question"), ("assistant", "bot", "gpt", "answer"))


def _exchange(turn: Mapping[object, object]) -> tuple[str, str] | None:
    """Query and answer of an object that holds both."""
    query, answer = (text_under(turn, *keys) for keys in _PAIR_KEYS)
    return None if query is None or answer is None else (query, answer)


def _name(speaker: object) -> str | None:
    if isinstance(speaker, dict):  # ChatGPT's author
        speaker = speaker.get("role")
    return speaker if isinstance(speaker, str) else None


def _role(speaker: str, reading: Reading) -> str | None:
    name = speaker.strip().lower()
    if name in reading.speakers:
        return reading.speakers[name]
    return TOOL if name in TOOL_SPEAKERS else SPEAKERS.get(name)


def content_text(content: object) -> str | None:
    """The text of a message; of OpenAI's and ChatGPT's lists of parts, if all are text."""
    if isinstance(content, dict) and isinstance(content.get("parts"), list):
        content = content["parts"]
    elif isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        texts = [_part_text(part) for part in content]
        return None if None in texts else "\n".join(map(str, texts))
    return content if isinstance(content, str) else None


def _part_text(part: object) -> str | None:
    if isinstance(part, dict):
        kinds = ("text", "input_text", "output_text")
        part = part.get("text") if part.get("type", "text") in kinds else None
    return part if isinstance(part, str) else None


def _unreadable(
    turn: Mapping[object, object], place: str, speaker_key: str | None, text_key: str | None
) -> str:
    content = turn.get(text_key or "")
    if isinstance(content, (list, dict)):
        return f"{place}: a content part that isn't text"
    by_value = "value" in turn or "from" in turn
    keys = (speaker_key or ("from" if by_value else "role"), text_key)
    named = keys[1] or ("value" if keys[0] == "from" else "content")
    return f"{place}: expected text in '{keys[0]}' and '{named}'"


def _without_tools(said: Sequence[_Said], reading: Reading) -> list[Message] | Misfit:
    """Messages without tools: a turn that needs one is dropped whole, or the tool's is text.

    Such a turn begins with the user's query and ends before the next one.
    """
    tools = [one for one in said if one.role == TOOL]
    if not tools:
        return [_message(one.role, one.content) for one in said]
    reading.counts["tool_messages"] += len(tools)
    if reading.tools == "text":
        return [_message("assistant" if m.role == TOOL else m.role, m.content) for m in said]
    turns: list[list[_Said]] = [[]]
    for one in said:
        if one.role == "user" and turns[-1] and turns[-1][-1].role != "user":
            turns.append([])
        turns[-1].append(one)
    kept = [turn for turn in turns if all(one.role != TOOL for one in turn)]
    reading.counts["tool_turns_dropped"] += len(turns) - len(kept)
    if not any(one.role == "assistant" for turn in kept for one in turn):
        first = tools[0]
        return Misfit(
            f"{first.place}: speaker {first.by[:40]!r} is a tool, and no turn is left without one; "
            "ingest.tool_turns: text keeps them"
        )
    system = [m for turn in turns if turn not in kept for m in turn if m.role == "system"]
    return [_message(m.role, m.content) for m in (*system, *(m for turn in kept for m in turn))]


def _message(role: str, content: str) -> Message:
    return {"role": "user" if role == "user" else _OTHER.get(role, "assistant"), "content": content}


_OTHER: Mapping[str, Role] = {"system": "system", "assistant": "assistant"}
