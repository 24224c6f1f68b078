"""Rules that clean the text of one message. Each takes ``(text, role)`` and returns the text.

ShareGPT's usual dumps are Markdown already, and the HTML in them is mostly code that somebody
asked about; it stays. Only ChatGPT's own page markup around a whole answer is taken off.
"""

import html
import re
from collections.abc import Callable

from parrot_core.control_tokens import defuse_control_tokens

TextRule = Callable[[str, str], str]

_BLOCK_END = re.compile(r"</(?:p|div|li|h[1-6]|pre|tr|ul|ol)>|<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_ODD_ASCII: dict[int, str | None] = {
    **dict.fromkeys((*range(9), *range(0x0E, 0x20), 0x7F)),
    0x0B: "\n",
    0x0C: "\n",
}
_ASCII_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ODD = re.compile(r"[\x85\xa0\u200b\u2028\u2029\u202f\u2060\ufeff]")
_ODD_CHARACTERS: dict[str, str] = {
    "\x85": "\n",
    "\u2028": "\n",
    "\u2029": "\n",
    "\xa0": " ",
    "\u202f": " ",
}
_RESIDUE = re.compile(r"\s*(?:Share Prompt|(?P<page>[1-9]) / (?P<pages>[1-9]))$")
_RESIDUE_CHARS = 40
_EMPTY_LINES = re.compile(r"\n{4,}")


def page_markup(text: str, role: str) -> str:
    """Take the page's markup off an answer that was copied as HTML."""
    if role != "assistant" or not text.lstrip().startswith('<div class="markdown'):
        return text
    return html.unescape(_TAG.sub("", _BLOCK_END.sub("\n", text)))


def characters(text: str, role: str) -> str:
    """One kind of line end and of space; no control characters, no zero-width spaces."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = _ODD.sub(lambda match: _ODD_CHARACTERS.get(match[0], ""), text)
        return text if _ASCII_CONTROL.search(text) is None else text.translate(_ODD_ASCII)
    return text.translate(_ODD_ASCII)


def interface(text: str, role: str) -> str:
    """Drop what a copied prompt brought along from the page: a button's label, a pager."""
    if role != "user":
        return text
    length = len(text.rstrip())
    found = _RESIDUE.search(text, max(0, length - _RESIDUE_CHARS), length)
    if found is None or (found["page"] or "") > (found["pages"] or ""):
        return text
    return text[: found.start()]


def control_tokens(text: str, role: str) -> str:
    """Defuse what a chat template would take for its own, see ``parrot_core.control_tokens``."""
    return defuse_control_tokens(text)


def whitespace(text: str, role: str) -> str:
    """No space around the message nor at the ends of lines, at most two empty lines in a row."""
    text = text.strip()
    if " \n" in text or "\t\n" in text:
        text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    return _EMPTY_LINES.sub("\n\n\n", text) if "\n\n\n\n" in text else text


TEXT_RULES: tuple[TextRule, ...] = (
    page_markup,
    characters,
    interface,
    control_tokens,
    whitespace,
)
