"""Text rule: one kind of line end and of space; no control or invisible characters."""

import re

from parrot_core.stages.ingest.rules.gate import Gate

_ODD_ASCII: dict[int, str | None] = {
    **dict.fromkeys((*range(9), *range(0x0E, 0x20), 0x7F)),
    0x0B: "\n",
    0x0C: "\n",
}
_ASCII_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ODD = re.compile(r"[\x85\xa0\u00ad\u200b\u2028\u2029\u202a-\u202f\u2060\u2066-\u2069\ufeff]")
_INSTEAD: dict[str, str] = {
    "\x85": "\n",
    "\u2028": "\n",
    "\u2029": "\n",
    "\xa0": " ",
    "\u202f": " ",
}

GATE = Gate(
    (
        *(r"[\x00-\x08\x7f]", r"[\x0b-\x14]", r"[\x15-\x1d]", r"[\x1e\x1f]"),
        *(r"[\x{85}\x{a0}\x{ad}]|\x{feff}", r"\x{200b}|[\x{2028}-\x{202f}]"),
        r"[\x{2060}\x{2066}-\x{2069}]",
    )
)


def characters(text: str, role: str) -> str:
    """Zero-width joiners stay: emoji and several scripts are written with them."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text.translate(_ODD_ASCII)
    text = _ODD.sub(lambda match: _INSTEAD.get(match[0], ""), text)
    return text if _ASCII_CONTROL.search(text) is None else text.translate(_ODD_ASCII)
