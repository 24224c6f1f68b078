"""A query that isn't a user's text: control tokens, role labels, no letters."""

import re

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn
from parrot_core.text.control_tokens import find_control_token

_ROLE_LABEL = re.compile(
    r"^[\s*#>\[-]{0,6}(?:user|human|assistant|chatgpt|gpt|bot)[\s*\]]{0,4}:"
    r"|^#{2,4} ?(?:instruction|response)\b",
    re.IGNORECASE | re.MULTILINE,
)
_WORDLIKE = re.compile(r"[^\W_]")


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses what only a model that lost the thread would write as a user."""
    if token := find_control_token(turn.query):
        return f"control token {token}"
    if label := _ROLE_LABEL.search(turn.query):
        return f"role label {label[0].strip()!r}"
    return None if _WORDLIKE.search(turn.query) else "no letter or digit"


RULE = FilterRule(
    "a query that isn't a user's text: control tokens, role labels, no letters", check
)
