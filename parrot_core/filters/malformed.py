"""A query that isn't a user's text: control tokens, role labels, broken encoding, no letters."""

import re
from collections.abc import Sequence

from parrot_core.control_tokens import find_control_token
from parrot_core.engines.types import Message
from parrot_core.recipe import Filter

_ROLE_LABEL = re.compile(
    r"^[\s*#>\[-]{0,6}(?:user|human|assistant|chatgpt|gpt|bot)[\s*\]]{0,4}:"
    r"|^#{2,4} ?(?:instruction|response)\b",
    re.IGNORECASE | re.MULTILINE,
)
_WORDLIKE = re.compile(r"[^\W_]")


class Malformed:
    """Refuses what only a model that lost the thread would write as a user."""

    name = "malformed"

    def check(self, query: str, earlier: Sequence[Message], settings: Filter) -> str | None:
        """See :class:`parrot_core.filters.rule.Rule`."""
        if token := find_control_token(query):
            return f"control token {token}"
        if label := _ROLE_LABEL.search(query):
            return f"role label {label[0].strip()!r}"
        if "\ufffd" in query:
            return "broken encoding (U+FFFD)"
        return None if _WORDLIKE.search(query) else "no letter or digit"
