"""From a source record to a clean session, or to the reason why there is none.

Small rules in two lists. Text rules change one message; session rules change or refuse the whole
session. A rule's name is its function's name. A cleaned session alternates user and assistant,
begins with a user query and ends with a response, and no message is empty.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from parrot_core.engines.types import Message
from parrot_core.ingest.layouts import SHAREGPT, Layout, Misfit
from parrot_core.ingest.text_rules import TEXT_RULES
from parrot_core.recipe import Ingest


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a record gives no session; ``reason`` is one of ``schemas.REASONS``."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CleanSession:
    """Messages fit for training, and the names of the rules that changed something."""

    messages: tuple[Message, ...]
    mended: tuple[str, ...]

    @property
    def turns(self) -> int:
        """User queries, each with its response."""
        return len(self.messages) // 2


Messages = list[Message]
SessionRule = Callable[[Messages, Ingest], Messages | Rejection]


def clean(record: object, settings: Ingest, layout: Layout = SHAREGPT) -> CleanSession | Rejection:
    """Apply all rules, in order, to a record of a layout."""
    messages = layout.read(record)
    if isinstance(messages, Misfit):
        return Rejection("malformed_record", messages.why)
    if not messages:
        return Rejection("no_turns")
    mended = [rule.__name__ for rule in TEXT_RULES if _apply_to_texts(rule, messages)]
    for session_rule in SESSION_RULES:
        outcome = session_rule(messages, settings)
        if isinstance(outcome, Rejection):
            return outcome
        if len(outcome) != len(messages):
            mended.append(session_rule.__name__)
        messages = outcome
    return CleanSession(tuple(messages), tuple(mended))


def drop_system(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Drop instructions to the model: they belong to an application, not to the dialogue."""
    return [message for message in messages if message["role"] != "system"]


def drop_empty(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Drop messages without text."""
    kept = [message for message in messages if message["content"]]
    return kept or Rejection("empty_turns")


def drop_leading_assistant(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Drop responses to a query that another part of the split session holds."""
    for first, message in enumerate(messages):
        if message["role"] == "user":
            return messages[first:]
    return Rejection("no_user_turn")


def merge_same_speaker(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Join what one speaker said in a row, with an empty line between."""
    merged: Messages = []
    for role, group in groupby(messages, key=lambda message: message["role"]):
        content = "\n\n".join(message["content"] for message in group)
        merged.append({"role": role, "content": content})
    return merged


def drop_unanswered(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Drop the last query if it has no response."""
    answered = messages[: len(messages) // 2 * 2]
    return answered or Rejection("no_response")


def keep_first_turns(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Keep the first ``max_turns`` turns."""
    return messages if settings.max_turns is None else messages[: 2 * settings.max_turns]


def require_turns(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Refuse a session with fewer turns than the recipe asks for."""
    turns = len(messages) // 2
    if turns < settings.min_turns:
        return Rejection("too_few_turns", f"{turns} turns, expected {settings.min_turns} or more")
    return messages


def require_short_messages(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Refuse a session with a message of too many characters: mostly pasted files."""
    longest = max(len(message["content"]) for message in messages)
    limit = settings.max_message_chars
    if longest > limit:
        return Rejection("message_too_long", f"{longest:,} characters, expected at most {limit:,}")
    return messages


SESSION_RULES: tuple[SessionRule, ...] = (
    drop_system,
    drop_empty,
    drop_leading_assistant,
    merge_same_speaker,
    drop_unanswered,
    keep_first_turns,
    require_turns,
    require_short_messages,
)


def _apply_to_texts(rule: Callable[[str, str], str], messages: Messages) -> bool:
    changed = False
    for message in messages:
        text = rule(message["content"], message["role"])
        changed = changed or text != message["content"]
        message["content"] = text
    return changed
