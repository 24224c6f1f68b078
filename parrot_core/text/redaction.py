"""Keeps API keys out of what is said about failures: some providers repeat the key they refuse."""

SHORTEST = 8
"""Shorter values, such as the ``none`` of an API without keys, are words and no secrets."""


def without_key(text: str, key: str) -> str:
    """The text with the key replaced by ``[key]``."""
    if len(key) < SHORTEST:
        return text
    return text.replace(key, "[key]")
