"""Turns text that a model or a stranger wrote into text that can only be read.

Dialogues are hostile by nature: escape sequences, null bytes, marks that reverse the direction of
writing, a megabyte on one line. What can't be seen is made visible, so that nothing is hidden.
"""

import unicodedata

CLIP = 4000
"""Characters shown of one text unless a caller says otherwise."""

_KEPT = frozenset("\n\t")


def sanitise(text: object, limit: int = CLIP) -> str:
    """Return ``text`` with every invisible or directing character made visible, and clipped.

    Newlines and tabs stay; ``\\r\\n`` becomes ``\\n``; control characters, direction marks,
    zero-width and private characters become their number, as in ``⟨U+202E⟩``; lone surrogates
    become ``\N{REPLACEMENT CHARACTER}``, so that the result can always be encoded.

    Args:
        text: anything; ``None`` is the empty text.
        limit: most characters kept of the original; what is left off is counted at the end.
    """
    raw = "" if text is None else str(text)
    shown = "".join(map(_visible, raw[:limit].replace("\r\n", "\n")))
    left = len(raw) - limit
    return f"{shown} … ({left:,} more characters)" if left > 0 else shown


def one_line(text: object, limit: int = 200) -> str:
    """Return sanitised text with all white space folded, for a table or a message."""
    raw = "" if text is None else str(text)
    folded = " ".join(sanitise(raw[: limit * 4], limit * 4).split())
    return folded if len(folded) <= limit and len(raw) <= limit * 4 else f"{folded[:limit]}…"


def _visible(char: str) -> str:
    if char in _KEPT or (" " <= char <= "~"):
        return char
    code = ord(char)
    category = unicodedata.category(char)
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    if category in ("Cc", "Cf", "Co", "Zl", "Zp") and code not in _JOINERS:
        return f"⟨U+{code:04X}⟩"
    return char


_JOINERS = frozenset({0x200C, 0x200D})
"""Zero-width (non-)joiners: Persian, Indic scripts and emoji are written with them."""
