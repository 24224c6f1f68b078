"""Which words of two texts differ, so that a reader sees where a rejected answer goes wrong."""

import re
from difflib import SequenceMatcher

MOST_WORDS = 1500
"""Longer texts are shown without marks: comparing them would take longer than reading."""

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")

Pieces = list[tuple[str, bool]]
"""A text in pieces, each with whether it is in this text only."""


def marked_differences(text: str, against: str) -> Pieces:
    """``text`` in pieces, those marked that ``against`` doesn't have in this place."""
    words, others = _WORDS.findall(text), _WORDS.findall(against)
    if len(words) > MOST_WORDS or len(others) > MOST_WORDS:
        return [(text, False)]
    pieces: Pieces = []
    matcher = SequenceMatcher(None, others, words, autojunk=False)
    for kind, _, _, start, end in matcher.get_opcodes():
        if start < end:
            piece = "".join(words[start:end])
            pieces.append((piece, kind != "equal" and bool(piece.strip())))
    return pieces
