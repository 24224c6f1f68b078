"""Session rules that hold a session to the recipe's sizes."""

from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.rules.rule import Messages, Rejection

REASONS = {
    "too_few_turns": "fewer turns than the recipe's minimum",
    "message_too_long": "a message longer than the recipe's maximum",
    "session_too_short": "fewer characters than the recipe's minimum",
}


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
    """Cut a session before a message of too many characters: mostly pasted files."""
    limit = settings.max_message_chars
    for place, message in enumerate(messages):
        length = len(message["content"])
        if length > limit:
            kept = messages[: place // 2 * 2]
            if len(kept) // 2 >= settings.min_turns:
                return kept
            return Rejection("message_too_long", f"{length:,} characters, at most {limit:,} wanted")
    return messages


def require_length(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Refuse a session that says too little to learn from."""
    length = sum(len(message["content"]) for message in messages)
    if length < settings.min_session_chars:
        least = settings.min_session_chars
        return Rejection("session_too_short", f"{length} characters, expected {least} or more")
    return messages
