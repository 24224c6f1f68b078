"""From a record's messages to clean texts, and from these to a clean session.

Texts are cleaned record by record, sessions when their parts have been joined (see
``ingest.assemble``). A clean session alternates user and assistant, begins with a user query and
ends with a response, and no message is empty. What was changed is told to a ``RuleLog``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from parrot_core.engines.types import Message, Role
from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.rule_log import RuleLog
from parrot_core.stages.ingest.rules import CHECKS, GATES, SESSION_RULES, text_rules
from parrot_core.stages.ingest.rules.gate import Gate, suspects
from parrot_core.stages.ingest.rules.rule import Messages, Rejection

__all__ = [
    "CleanSession",
    "Messages",
    "Rejection",
    "check",
    "clean",
    "clean_texts",
    "settle",
]

_WORTH_A_GATE = 30


@dataclass(frozen=True, slots=True)
class CleanSession:
    """Messages fit for training, and the session rules that changed something."""

    messages: tuple[Message, ...]
    mended: tuple[str, ...]
    system: str | None = None  # what it began with, before the rules dropped it

    @property
    def turns(self) -> int:
        """User queries, each with its response."""
        return len(self.messages) // 2


def clean_texts(
    records: Sequence[tuple[str, Messages]], settings: Ingest, log: RuleLog
) -> list[Messages]:
    """Apply the text rules to every message of some records, by a rule after the other.

    Args:
        records: id and messages of each; a few hundred messages at once make gates worth it.
        settings: whose ``rules`` are applied.
        log: is told what was changed.

    Returns:
        As many messages a record as before, some perhaps empty; the same list where nothing was
        changed.
    """
    owners = [owner for owner, (_, messages) in enumerate(records) for _ in messages]
    starts = list(accumulate((len(messages) for _, messages in records), initial=0))
    roles = [message["role"] for _, messages in records for message in messages]
    texts = [message["content"] for _, messages in records for message in messages]
    rules = text_rules(settings)
    gates = [GATES.get(rule.__name__, Gate()) for rule in rules]
    waiting = [dict.fromkeys(places) for places in suspects(texts, roles, gates)]
    cleaned = [messages for _, messages in records]
    changed: set[int] = set()
    for number, rule in enumerate(rules):
        now: list[int] = []
        for place in waiting[number]:
            before = texts[place]
            after = rule(before, roles[place])
            if after != before:
                texts[place] = after
                now.append(place)
                owner = owners[place]
                message = f"{records[owner][0]}/{place - starts[owner]}"
                log.changed(rule.__name__, message, before, after)
        changed.update(now)
        _look_again(now, texts, roles, gates[number + 1 :], waiting[number + 1 :])
    for place in sorted(changed):
        owner = owners[place]
        if cleaned[owner] is records[owner][1]:
            cleaned[owner] = list(cleaned[owner])
        cleaned[owner][place - starts[owner]] = {"role": roles[place], "content": texts[place]}
    return cleaned


def _look_again(
    changed: Sequence[int],
    texts: Sequence[str],
    roles: Sequence[Role],
    gates: Sequence[Gate],
    waiting: Sequence[dict[int, None]],
) -> None:
    """Add texts that a rule has changed to what later rules read: few to all, more by gates."""
    if len(changed) < _WORTH_A_GATE:
        for places in waiting:
            places.update(dict.fromkeys(changed))
        return
    found = suspects([texts[p] for p in changed], [roles[p] for p in changed], gates)
    for places, passed in zip(waiting, found, strict=True):
        places.update(dict.fromkeys(changed[number] for number in passed))


def clean(messages: Messages, settings: Ingest) -> CleanSession | Rejection:
    """Clean one record that is a whole session by itself: its texts, then the session."""
    if not messages:
        return Rejection("no_turns")
    log = RuleLog()
    texts = clean_texts([("", messages)], settings, log)
    return settle(texts[0], settings, log, "")


def settle(messages: Messages, settings: Ingest, log: RuleLog, id: str) -> CleanSession | Rejection:
    """Apply the session rules to messages with clean texts."""
    mended: list[str] = []
    begins = messages[0] if messages else None
    system = begins["content"] if begins and begins["role"] == "system" else None
    for rule in SESSION_RULES:
        outcome = rule(messages, settings)
        if isinstance(outcome, Rejection):
            return outcome
        if len(outcome) != len(messages):
            mended.append(rule.__name__)
            log.shortened(rule.__name__, id, messages, outcome)
        messages = outcome
    return CleanSession(tuple(messages), tuple(mended), system or None)


def check(sessions: Sequence[Sequence[Message]], settings: Ingest) -> list[dict[str, str]]:
    """What the recipe's checks find in each of some clean sessions, by the check's name."""
    found: list[dict[str, str]] = [{} for _ in sessions]
    texts = [message["content"] for messages in sessions for message in messages]
    roles = [message["role"] for messages in sessions for message in messages]
    owners = [place for place, messages in enumerate(sessions) for _ in messages]
    suspected = suspects(texts, roles, [GATES.get(name, Gate()) for name in settings.checks])
    for name, passed in zip(settings.checks, suspected, strict=True):
        for place in dict.fromkeys(owners[i] for i in passed):
            if detail := CHECKS[name](sessions[place]):
                found[place][name] = detail
    return found
