"""From a source record to messages with clean texts, and from these to a clean session.

Texts are cleaned record by record, sessions when their parts have been joined (see
``ingest.assemble``). A clean session alternates user and assistant, begins with a user query and
ends with a response, and no message is empty. What was changed is told to a ``RuleLog``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, repeat

from parrot_core.engines.types import Message
from parrot_core.ingest import sharegpt
from parrot_core.ingest.rule_log import RuleLog
from parrot_core.ingest.rules import CHECKS, GATES, SESSION_RULES, text_rules
from parrot_core.ingest.rules.gate import suspects
from parrot_core.ingest.rules.rule import Messages, Rejection
from parrot_core.recipe import Ingest, SessionCheck

__all__ = [
    "CleanSession",
    "Messages",
    "Rejection",
    "check",
    "clean_texts",
    "read_messages",
    "settle",
]


@dataclass(frozen=True, slots=True)
class CleanSession:
    """Messages fit for training, and the session rules that changed something."""

    messages: tuple[Message, ...]
    mended: tuple[str, ...]

    @property
    def turns(self) -> int:
        """User queries, each with its response."""
        return len(self.messages) // 2


def read_messages(record: object) -> Messages | Rejection:
    """The record's turns with the roles that chat templates know."""
    turns = record.get("conversations") if isinstance(record, dict) else None
    if not isinstance(turns, list):
        found = sharegpt.describe(record)
        return Rejection("malformed_record", f"found {found}, expected {sharegpt.EXPECTED}")
    if not turns:
        return Rejection("no_turns")
    messages: Messages = []
    for number, turn in enumerate(turns):
        speaker = turn.get("from") if isinstance(turn, dict) else None
        content = turn.get("value") if isinstance(turn, dict) else None
        if not isinstance(speaker, str) or not isinstance(content, str):
            expected = "expected text in 'from' and 'value'"
            return Rejection("malformed_record", f"conversations[{number}]: {expected}")
        role = sharegpt.SPEAKERS.get(speaker.strip().lower())
        if role is None:
            known = ", ".join(sharegpt.SPEAKERS)
            detail = f"conversations[{number}]: speaker {speaker[:40]!r}, expected one of {known}"
            return Rejection("malformed_record", detail)
        messages.append({"role": role, "content": content})
    return messages


def clean_texts(
    records: Sequence[tuple[str, Messages]], settings: Ingest, log: RuleLog
) -> list[Messages]:
    """Apply the text rules to every message of some records, by a rule after the other.

    Args:
        records: id and messages of each; a few hundred messages at once make gates worth it.
        settings: whose ``rules`` are applied.
        log: is told what was changed.

    Returns:
        As many messages a record as before, some perhaps empty.
    """
    places = [(id, number) for id, messages in records for number in range(len(messages))]
    roles = [message["role"] for _, messages in records for message in messages]
    texts = [message["content"] for _, messages in records for message in messages]
    for rule in text_rules(settings):
        gate = GATES.get(rule.__name__)
        passes: Iterable[bool] = suspects(texts, gate) if gate else repeat(True)
        for place, passed in zip(range(len(texts)), passes, strict=False):
            if not passed:
                continue
            before = texts[place]
            after = rule(before, roles[place])
            if after != before:
                texts[place] = after
                id, number = places[place]
                log.changed(rule.__name__, f"{id}/{number}", before, after)
    cleaned = iter(zip(roles, texts, strict=True))
    return [
        [{"role": role, "content": text} for role, text in islice(cleaned, len(messages))]
        for _, messages in records
    ]


def settle(messages: Messages, settings: Ingest, log: RuleLog, id: str) -> CleanSession | Rejection:
    """Apply the session rules to messages with clean texts."""
    mended: list[str] = []
    for rule in SESSION_RULES:
        outcome = rule(messages, settings)
        if isinstance(outcome, Rejection):
            return outcome
        if len(outcome) != len(messages):
            mended.append(rule.__name__)
            log.shortened(rule.__name__, id, messages, outcome)
        messages = outcome
    return CleanSession(tuple(messages), tuple(mended))


def check(sessions: Sequence[Sequence[Message]], settings: Ingest) -> list[dict[SessionCheck, str]]:
    """What the recipe's checks find in each of some clean sessions, by the check's name."""
    found: list[dict[SessionCheck, str]] = [{} for _ in sessions]
    texts = [message["content"] for messages in sessions for message in messages]
    for name in settings.checks:
        gate = GATES.get(name)
        passed = iter(suspects(texts, gate) if gate else repeat(True))
        for findings, messages in zip(found, sessions, strict=True):
            worth = any(list(islice(passed, len(messages))))
            if worth and (detail := CHECKS[name](messages)):
                findings[name] = detail
    return found
