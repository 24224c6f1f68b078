"""Mends raw bytes on their way into a JSON parser, so that one bad character can't stop a file.

Three things that stop parsers, or that they change in silence: a byte order mark, bytes that
aren't UTF-8, and escapes of half a surrogate pair. The first is dropped, the other two become
U+FFFD, the replacement character, and are counted.
"""

import codecs
import re
from collections.abc import Iterable, Iterator

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair
    rb"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|.)",
    re.DOTALL,
)
# Half a pair, as far as can be seen without counting the backslashes before it.
_MAYBE_LONE = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
    rb"|\\\\u[dD][89abAB]"
)
_INCOMPLETE = re.compile(
    rb"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?))?\Z"
)
_PAIR_BYTES = 12  # \uD83D\uDE00


class Utf8Mender:
    """Passes chunks of bytes through, mended; counts what it replaced."""

    def __init__(self) -> None:
        self.bad_bytes = 0
        """Places that weren't UTF-8."""
        self.lone_surrogates = 0
        """Escapes of half a surrogate pair."""
        self._decoder_tail = b""
        self._escape_tail = b""

    def mend(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the same text as valid UTF-8, cut at other places than it came in."""
        start = True
        for chunk in chunks:
            data = self._valid(chunk, final=False)
            if start and data:
                data = data.removeprefix(codecs.BOM_UTF8)
                start = False
            if data := self._whole_escapes(data, final=False):
                yield data
        if data := self._whole_escapes(self._valid(b"", final=True), final=True):
            yield data

    def _valid(self, chunk: bytes, *, final: bool) -> bytes:
        data, self._decoder_tail = self._decoder_tail + chunk, b""
        if data.isascii():
            return data
        cut = _incomplete_at(data)
        if not final:
            self._decoder_tail = data[cut:]
        data = data[:cut]  # at the end: half a character of a file that was cut off
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("utf-8", errors="replace")
            mended = text.encode("utf-8")
            self.bad_bytes += text.count("\ufffd") - data.count("\ufffd".encode())
            return mended
        return data

    def _whole_escapes(self, chunk: bytes, *, final: bool) -> bytes:
        data, self._escape_tail = self._escape_tail + chunk, b""
        if not final:
            cut = _escape_at(data)
            data, self._escape_tail = data[:cut], data[cut:]
        return _ESCAPE.sub(self._replace_lone, data) if _MAYBE_LONE.search(data) else data

    def _replace_lone(self, match: re.Match[bytes]) -> bytes:
        if match["lone"] is None:
            return match[0]
        self.lone_surrogates += 1
        return rb"\ufffd"


def _incomplete_at(data: bytes) -> int:
    """Where the character that the next chunk may complete begins; ``len(data)`` if none."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:  # a lead byte: how long a character does it promise?
            promised = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if promised > back else len(data)
    return len(data)


def _escape_at(data: bytes) -> int:
    """Where an escape, or a pair, begins that the next chunk may complete."""
    match = _INCOMPLETE.search(data, max(0, len(data) - _PAIR_BYTES))
    if match is None:
        return len(data)
    cut = match.start()
    while cut > 0 and data[cut - 1] == 0x5C:  # a run of backslashes pairs up from its start
        cut -= 1
    return cut
