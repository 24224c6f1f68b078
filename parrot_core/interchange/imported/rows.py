"""Records of others as rows of our datasets: sessions, opening queries, preference pairs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from parrot_core.engines.types import Message
from parrot_core.recipe import ALL_STRATEGIES, Ingest
from parrot_core.stages.base import Row
from parrot_core.stages.ingest.clean import CleanSession, Rejection, clean, clean_texts
from parrot_core.stages.ingest.language import LanguageDetector, session_language
from parrot_core.stages.ingest.layouts import (
    USUAL,
    Layout,
    Misfit,
    Reading,
    describe,
    is_known,
    most_likely,
)
from parrot_core.stages.ingest.layouts.layout import id_under
from parrot_core.stages.ingest.layouts.turns import as_list, turn_messages
from parrot_core.stages.ingest.rule_log import RuleLog
from parrot_core.stages.ingest.splits import split_of

IMPORTED = "imported"
"""The end reason of an imported dialogue, and the strategy of a pair that names none of ours."""
SPLIT_SEED = 42
_AS_THEY_ARE = Ingest(rules=(), checks={}, max_message_chars=100_000_000)
_DEFAULTS = Ingest()
_QUERY_KEYS = ("query", "prompt", "instruction", "question", "text")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record comes from, and what it is called."""

    id: str
    source: str
    source_id: str
    index: int
    layout: Layout


Reader = Callable[[object, Origin, LanguageDetector], Row | Rejection]
"""Makes a record a row, or says why it is none."""


def _session(
    record: object, origin: Origin, detector: LanguageDetector
) -> tuple[CleanSession, Row] | Rejection:
    read = origin.layout.read(record)
    if isinstance(read, Misfit):
        return Rejection("malformed_record", read.why)
    session = clean(read, _AS_THEY_ARE)
    if isinstance(session, Rejection):
        return session
    guess = session_language(session.messages, detector)
    row = {
        "id": origin.id,
        "source_ids": [origin.source_id],
        "language": guess.code if guess else None,
        "messages": list(session.messages),
        "n_turns": session.turns,
    }
    return session, row


def conversation(record: object, origin: Origin, detector: LanguageDetector) -> Row | Rejection:
    """A conversation, in the split that ingest would give it by default."""
    read = _session(record, origin, detector)
    if isinstance(read, Rejection):
        return read
    session, row = read
    split = split_of(SPLIT_SEED, origin.id, _DEFAULTS.heldout_fraction, _DEFAULTS.seed_fraction)
    opens = "drop_leading_assistant" not in session.mended
    return {
        **row,
        "split": split,
        "system": session.system,
        "source": origin.source,
        "record_index": origin.index,
        "opens_session": opens,
        "group": origin.id,
        "flags": [],
    }


def dialogue(record: object, origin: Origin, detector: LanguageDetector) -> Row | Rejection:
    """A dialogue whose messages come from nobody we know."""
    read = _session(record, origin, detector)
    if isinstance(read, Rejection):
        return read
    _, row = read
    provenance: list[dict[str, Any]] = [{} for _ in row["messages"]]
    return {**row, "provenance": provenance, "end_reason": IMPORTED, "topic": None}


def seed(record: object, origin: Origin, detector: LanguageDetector) -> Row | Rejection:
    """An opening query: a text, or the first query of a session."""
    query = _query(record)
    system = record.get("system") if isinstance(record, dict) else None
    if query is None:
        read = origin.layout.read(record)
        if isinstance(read, Misfit):
            return Rejection("malformed_record", read.why)
        query = next((m["content"] for m in read if m["role"] == "user"), "")
        system = next((m["content"] for m in read[:1] if m["role"] == "system"), None)
    # As a session of one turn, so that the same is mended as everywhere.
    turn: list[Message] = [
        {"role": "user", "content": query},
        {"role": "assistant", "content": "."},
    ]
    cleaned = clean(turn, _AS_THEY_ARE)
    if isinstance(cleaned, Rejection):
        return Rejection("no_user_turn")
    guess = session_language(cleaned.messages[:1], detector)
    return {
        "id": origin.id,
        "source_ids": [origin.source_id],
        "language": guess.code if guess else None,
        "query": cleaned.messages[0]["content"],
        "system": system if isinstance(system, str) and system else None,
        "topic": None,
    }


def preference(record: object, origin: Origin, detector: LanguageDetector) -> Row | Rejection:
    """A pair in one of TRL's shapes: with a prompt, or with it inside both answers."""
    if not isinstance(record, dict):
        return Rejection("malformed_record", f"found {describe(record)}, expected {PAIRS.expected}")
    parts: dict[str, list[Message]] = {}
    for name, role in (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant")):
        read = _messages(record.get(name), name, role)
        if isinstance(read, Misfit):
            return Rejection("malformed_record", read.why)
        parts[name] = clean_texts([(origin.id, read)], _AS_THEY_ARE, RuleLog())[0]
    prompt, chosen, rejected = _divided(parts["prompt"], parts["chosen"], parts["rejected"])
    wrong = _wrong_pair(prompt, chosen, rejected)
    if wrong is not None:
        return wrong
    guess = session_language(prompt, detector)
    strategy = record.get("strategy")
    return {
        "id": origin.id,
        "source_ids": [origin.source_id],
        "language": guess.code if guess else None,
        "strategy": strategy if strategy in ALL_STRATEGIES else IMPORTED,
        "turn": sum(message["role"] == "user" for message in prompt),
        "prompt": prompt,
        "chosen": chosen,
        "rejected": rejected,
    }


def _divided(
    prompt: list[Message], chosen: list[Message], rejected: list[Message]
) -> tuple[list[Message], list[Message], list[Message]]:
    """Prompt and answers apart, where the answers hold the prompt as well."""
    if not prompt:
        same = 0
        while same < min(len(chosen), len(rejected)) - 1 and chosen[same] == rejected[same]:
            same += 1
        return chosen[:same], chosen[same:], rejected[same:]
    length = len(prompt)
    answers = [part[length:] if part[:length] == prompt else part for part in (chosen, rejected)]
    return prompt, answers[0], answers[1]


def _wrong_pair(
    prompt: list[Message], chosen: list[Message], rejected: list[Message]
) -> Rejection | None:
    if not prompt or prompt[-1]["role"] != "user":
        return Rejection("no_user_turn", "the prompt doesn't end with a query")
    for name, answer in (("chosen", chosen), ("rejected", rejected)):
        if [message["role"] for message in answer] != ["assistant"]:
            return Rejection(
                "malformed_record", f"{name}: expected one answer, found {len(answer)}"
            )
    if not chosen[0]["content"].strip():
        return Rejection("chosen_unusable", "empty")
    if not rejected[0]["content"].strip():
        return Rejection("negative_empty")
    if chosen[0]["content"].strip() == rejected[0]["content"].strip():
        return Rejection("negative_equals_chosen")
    return None


def _messages(value: object, name: str, role: str) -> list[Message] | Misfit:
    if value is None and name == "prompt":
        return []
    if isinstance(value, str):
        return [{"role": "user" if role == "user" else "assistant", "content": value}]
    if (turns := as_list(value)) is not None:
        return turn_messages(None, turns, name, USUAL)
    return Misfit(f"{name}: found {describe(value)}, expected a text or messages")


def _query(record: object) -> str | None:
    if isinstance(record, str):
        return record
    if isinstance(record, dict):
        texts = (record.get(key) for key in _QUERY_KEYS)
        return next((text for text in texts if isinstance(text, str) and text.strip()), None)
    return None


def _is_pair(record: object) -> bool:
    return isinstance(record, dict) and "chosen" in record and "rejected" in record


def _is_opening(record: object) -> bool:
    return _query(record) is not None or is_known(record)


def _read_any(record: object, reading: Reading) -> list[Message] | Misfit:
    layout = most_likely([record])
    if layout is None:
        return Misfit(f"found {describe(record)}, expected {OPENINGS.expected}")
    return layout.read(record, reading)


def _no_messages(record: object, reading: Reading) -> list[Message] | Misfit:
    return Misfit("a pair is no session")


PAIRS = Layout(
    "pairs",
    '{"prompt": …, "chosen": …, "rejected": …}, each a text or messages',
    _is_pair,
    id_under("id", "prompt_id"),
    _no_messages,
)
OPENINGS = Layout(
    "openings",
    f"a text, an object with one of {', '.join(_QUERY_KEYS)}, or a session",
    _is_opening,
    id_under("id", "conversation_id"),
    _read_any,
)

READERS: Mapping[str, tuple[Reader, Layout | None, str]] = MappingProxyType(
    {
        "conversations": (conversation, None, "session"),
        "dialogues": (dialogue, None, "session"),
        "parrot": (dialogue, None, "session"),
        "seeds": (seed, OPENINGS, "query"),
        "preferences": (preference, PAIRS, "pair"),
    }
)
"""How each dataset is read, in which layout (None: any of ingest's), and its unit."""
