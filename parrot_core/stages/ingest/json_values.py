"""The elements of a huge JSON array, or JSON values one after another, as they stream by.

Speed comes from a guess that is checked. The records of a file begin alike (``{"id":``), and since
a quotation mark inside a JSON string is escaped, those bytes can't stand inside one. So what stands
between two such beginnings goes to orjson as it is: if that parses, it is the whole record. What
orjson refuses (damage, NaN, a nested object that begins alike) is parsed by the standard library,
which tells where a value ends. Behind a damaged place reading goes on at the next beginning.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import orjson

from parrot_core.stages.ingest.parsing import KEPT_CHARS, MAX_RECORD_BYTES, BadRecord, DamageError

_SEPARATORS = re.compile(rb"[\s,]*")
_BEGINNING = re.compile(rb'\{\s*("(?:[^"\\]|\\.)*")\s*:', re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)
_LOOKED_BACK = 1024  # longer than any beginning, so that one across two chunks is found
_FIRST_WINDOW = 64 << 10
_SLACK = 4096


def array_records(chunks: Iterable[bytes]) -> Iterator[object | BadRecord]:
    """Yield the elements of a JSON array, or of several in a row; a damaged one as a BadRecord.

    Raises:
        DamageError: the array isn't closed, so the file has lost its end.
    """
    yield from _Values(chunks).elements(wrapped=False)


def wrapped_records(chunks: Iterable[bytes]) -> Iterator[object | BadRecord]:
    """Yield the elements of the array that the stream begins with; what follows isn't looked at.

    Raises:
        DamageError: as :func:`array_records`.
    """
    yield from _Values(chunks).elements(wrapped=True)


def concatenated_records(chunks: Iterable[bytes]) -> Iterator[object | BadRecord]:
    """Yield JSON values that follow one another, over as many lines as they like."""
    yield from _Values(chunks).sequence()


class _Values:
    """A window on the stream, and where in it the next value begins."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._data = b""
        self._at = 0
        self._before = 0  # bytes of the stream before the window
        self._ended = False
        self._beginning: re.Pattern[bytes] | None = None
        self._key = b""  # the first key of records, quoted
        self._first_keys: Counter[bytes] = Counter()  # bytes of values that begin with each

    def elements(self, *, wrapped: bool) -> Iterator[object | BadRecord]:
        is_open, ended_early = False, False
        while self._to_value():
            byte = self._data[self._at]
            if byte == 0x5D:  # ]
                is_open = False
                self._at += 1
                if wrapped:
                    return
            elif byte == 0x5B and not is_open:  # [
                is_open = True
                self._at += 1
            else:
                if not is_open and not ended_early:
                    ended_early = True
                    yield BadRecord("", f"byte {self._place()}: records after the array's end")
                yield self._value()
        if not is_open:
            return
        raise DamageError("the file is cut off: the array isn't closed")

    def sequence(self) -> Iterator[object | BadRecord]:
        while self._to_value():
            yield self._value()

    def _to_value(self) -> bool:
        """Go to where the next value begins; False at the end of the stream."""
        while True:
            match = _SEPARATORS.match(self._data, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._data):
                return True
            if not self._grow():
                return False

    def _grow(self) -> bool:
        """Take in the next chunk and let go of what is behind."""
        chunk = next(self._chunks, None)
        if chunk is None:
            self._ended = True
            return False
        self._before += self._at
        self._data = self._data[self._at :] + chunk
        self._at = 0
        return True

    def _value(self) -> object | BadRecord:
        found = self._next_beginning()
        if found is None and len(self._data) - self._at < _FIRST_WINDOW and self._grow():
            found = self._next_beginning()
        if found is not None:
            text = self._data[self._at : found].rstrip(b", \t\r\n")
            try:
                value: object = orjson.loads(text)
            except orjson.JSONDecodeError:
                return self._exact_value()
            self._first_keys[self._key] += found - self._at
            self._at = found
            return value
        return self._exact_value()

    def _next_beginning(self, after: int = 1) -> int | None:
        if self._beginning is None:
            self._learn_beginning(0)
        if self._beginning is None:
            return None
        found = self._beginning.search(self._data, self._at + after)
        return found.start() if found else None

    def _learn_beginning(self, size: int) -> None:
        """Records begin as the value here does, unless most of what was read began otherwise."""
        first = _BEGINNING.match(self._data, self._at)
        if first is not None:
            self._first_keys[first[1]] += size
            [(self._key, _)] = self._first_keys.most_common(1)
            self._beginning = re.compile(rb"\{\s*" + re.escape(self._key) + rb"\s*:")

    def _exact_value(self) -> object | BadRecord:
        """Parse from here to wherever the value ends, looking ever further ahead."""
        size = _FIRST_WINDOW
        while True:
            seen_all = self._ended and self._at + size >= len(self._data)
            window = self._data[self._at : self._at + size].decode("utf-8", errors="ignore")
            try:
                value, end = _DECODER.raw_decode(window)
            except RecursionError:
                return self._damaged("nested too deep")
            except json.JSONDecodeError as error:
                if seen_all or _certain(error, window):
                    return self._damaged(f"not JSON: {error.msg}")
            except ValueError as error:  # an integer of thousands of digits
                return self._damaged(f"not JSON: {error}")
            else:
                if end < len(window) or seen_all:
                    size = len(window[:end].encode())
                    self._learn_beginning(size)
                    self._at += size
                    return value  # type: ignore[no-any-return]
            if size >= MAX_RECORD_BYTES:
                return self._damaged(f"longer than {MAX_RECORD_BYTES >> 20} MiB")
            size *= 2
            while len(self._data) - self._at < size and self._grow():
                pass

    def _damaged(self, why: str) -> BadRecord:
        """What stands here up to the next beginning.

        Raises:
            DamageError: no record begins behind it.
        """
        place = self._place()
        text = self._data[self._at : self._at + 4 * KEPT_CHARS].decode(errors="replace")
        found = self._next_beginning()
        while found is None:
            self._at = max(self._at, len(self._data) - _LOOKED_BACK)
            if not self._grow():
                raise DamageError(f"cut off or damaged at byte {place} ({why})")
            found = self._next_beginning(after=0)
        self._at = found
        return BadRecord(text[:KEPT_CHARS], f"byte {place}: {why}")

    def _place(self) -> str:
        return f"{self._before + self._at:,}"


def _certain(error: json.JSONDecodeError, window: str) -> bool:
    """Whether text behind the window can't mend it: a string without end can, other faults not."""
    return error.pos + _SLACK < len(window) and window[error.pos] != '"'
