"""Text in UTF-16 or UTF-32 on its way to a parser that reads UTF-8."""

import codecs
from collections.abc import Iterable, Iterator

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 64


def wide_encoding(head: bytes) -> str | None:
    """Which of these encodings a text that begins so is in; None: neither."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    start = head[:_LOOKED_AT]
    even, odd = start[::2], start[1::2]
    if len(start) < 4 or not start.replace(b"\0", b"").isascii():
        return None
    if not any(odd) and all(even):
        return "utf-16-le"
    return "utf-16-be" if not any(even) and all(odd) else None


def as_utf8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the same text in UTF-8; what can't be decoded becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")
