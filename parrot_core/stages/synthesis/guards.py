"""Guardrails on a new query: one that no user would write is asked for again.

Each is on by recipe alone. The filters would throw the session out later, when its further turns
have been paid for.
"""

import re
from collections.abc import Sequence

from parrot_core.engines.types import Message
from parrot_core.recipe import Synthesize
from parrot_core.text.similarity import tokens

_FEWEST_ECHOED = 4  # words: a shorter query may well occur in the answer
_ASSISTANT = re.compile(
    r"""
      ^\W*(?:sure\b|certainly\b|of\ course[,!.]|absolutely[,!.]|as\ an?\ (?:ai|language\ model)\b
        |i(?:\ am|['’]m)\ (?:sorry,\ but|an?\ ai\b|happy\ to\ help|glad\ to\ help)
        |i['’]d\ be\ happy\ to|here\ (?:is|are)\ (?:the|a|an|some|your)\b
        |how\ can\ i\ (?:help|assist)|thank\ you\ for\ (?:your\ question|asking|reaching\ out))
    | ^\W*(?:当然可以|当然，|作为一个|作为AI|很高兴为您|以下是)
    """,
    re.IGNORECASE | re.VERBOSE,
)


def query_problem(query: str, conversation: Sequence[Message], settings: Synthesize) -> str:
    """The first of the recipe's guards that a query fails; empty if it passes them all.

    ``repeat``: it was asked before, word for word. ``echo``: the last answer holds it. ``role``: it
    begins as only an assistant does. ``length``: outside ``query_words``.

    Args:
        conversation: what came before; it ends with an answer.
    """
    words = tokens(query)
    checks = {
        "repeat": lambda: any(
            tokens(message["content"]) == words
            for message in conversation
            if message["role"] == "user"
        ),
        "echo": lambda: (
            len(words) >= _FEWEST_ECHOED
            and f" {' '.join(words)} " in f" {' '.join(tokens(conversation[-1]['content']))} "
        ),
        "role": lambda: _ASSISTANT.search(query) is not None,
        "length": lambda: not settings.query_words[0] <= len(words) <= settings.query_words[1],
    }
    return next((guard for guard in settings.guards if checks[guard]()), "")
