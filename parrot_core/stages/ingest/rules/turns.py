"""Session rules that mend the order of speakers, until queries and responses alternate."""

import re
from itertools import groupby
from operator import eq

from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.rules.rule import Messages, Rejection

_FAILED = re.compile(
    r"(?:network error|Too many requests in \d+ hours?\. Try again later\."
    r"|Only one message at a time\. Please allow any other responses to complete before sending"
    r" another message, or wait one minute\.|There was an error generating a response"
    r"|Something went wrong[^\n]{0,120}|Internal server error|Skipped \d+ messages"
    r"|<\|\u200b?endoftext\|>|\s)+",
    re.IGNORECASE,
)
_SAYS_NOTHING = re.compile(r"[^\w?？]*", re.ASCII)

REASONS = {
    "empty_turns": "no message with text is left after cleaning",
    "no_user_turn": "no user query is left after cleaning",
    "no_response": "no query of the session was answered",
}


def drop_system(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Drop instructions to the model: they belong to an application, not to the dialogue."""
    return [message for message in messages if message["role"] != "system"]


def drop_failed_answers(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Drop the page's error notices with the queries that they follow."""
    kept: Messages = []
    for message in messages:
        if message["role"] == "assistant" and _is_error_notice(message["content"]):
            if kept and kept[-1]["role"] == "user":
                kept.pop()
            continue
        kept.append(message)
    none_left = bool(messages) and not kept
    return Rejection("no_response", "nothing but error notices") if none_left else kept


def _is_error_notice(text: str) -> bool:
    return 0 < len(text) < 1000 and _FAILED.fullmatch(text) is not None


def drop_empty(messages: Messages, settings: Ingest) -> Messages | Rejection:
    kept = [message for message in messages if message["content"]]
    return kept or Rejection("empty_turns")


def drop_leading_assistant(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Drop responses to a query that a part which isn't there holds."""
    for first, message in enumerate(messages):
        if message["role"] == "user":
            return messages[first:]
    return Rejection("no_user_turn")


def merge_same_speaker(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Join what one speaker said in a row, with an empty line between."""
    roles = [message["role"] for message in messages]
    if not any(map(eq, roles, roles[1:])):
        return messages
    merged: Messages = []
    for role, group in groupby(messages, key=lambda message: message["role"]):
        content = "\n\n".join(message["content"] for message in group)
        merged.append({"role": role, "content": content})
    return merged


def drop_unanswered(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Drop the last query if it has no response."""
    answered = messages[: len(messages) // 2 * 2]
    return answered or Rejection("no_response")


def drop_junk(messages: Messages, settings: Ingest) -> Messages | Rejection:
    """Drop turns whose query says nothing: dots, dashes, brackets. A "?" asks something."""
    kept: Messages = []
    for query, response in zip(messages[::2], messages[1::2], strict=True):
        text = query["content"]
        if len(text) > 12 or not text.isascii() or not _SAYS_NOTHING.fullmatch(text):
            kept += [query, response]
    return kept or Rejection("empty_turns", "no query says anything")
