"""Chunks of JSON text to records, one at a time: one record a line, see ``json_values`` for arrays.

Whatever is wrong with a file, every whole record is yielded, and what isn't one is named.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

MAX_RECORD_BYTES = 16 << 20
"""Longer records are refused, so that memory stays bounded whatever a file holds."""
KEPT_CHARS = 1000
"""What is kept of a text that isn't a record, as the reject's original."""


class DamageError(Exception):
    """The rest of the file can't be read; all records before it have been yielded."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A place that should hold a record and doesn't. The next ones can be read."""

    text: str  # what stands there, as far as it is known; its beginning if it is long
    why: str


def line_records(chunks: Iterable[bytes]) -> Iterator[object | BadRecord]:
    """Yield one record for each line that isn't blank; a line without one yields a BadRecord."""
    for number, (line, whole) in enumerate(_lines(chunks), start=1):
        if not whole:
            why = f"line {number}: longer than {MAX_RECORD_BYTES >> 20} MiB"
            yield BadRecord(line[: 4 * KEPT_CHARS].decode(errors="replace")[:KEPT_CHARS], why)
        elif line and not line.isspace():
            yield _parse_line(line, number)


def _parse_line(line: bytes, number: int) -> object | BadRecord:
    try:
        record: object = orjson.loads(line)
    except orjson.JSONDecodeError:
        return _parse_leniently(line, number)
    return record


def _parse_leniently(line: bytes, number: int) -> object | BadRecord:
    """Accept also what Python's own writer makes of odd values, such as NaN."""
    text = line.decode("utf-8", errors="replace").strip()
    try:
        record: object = json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        why = f"line {number}: not JSON: {error.msg} (column {error.colno})"
    except ValueError as error:  # an integer of thousands of digits
        why = f"line {number}: not JSON: {error}"
    except RecursionError:
        why = f"line {number}: nested too deep"
    else:
        return record
    return BadRecord(text, why)


def _lines(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield lines and whether each is whole; of an overlong one only the beginning is kept."""
    line = bytearray()
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            line += piece[: MAX_RECORD_BYTES + 1 - len(line)]
            yield bytes(line), len(line) <= MAX_RECORD_BYTES
            line.clear()
        line += rest[: MAX_RECORD_BYTES + 1 - len(line)]
    if line:
        yield bytes(line), len(line) <= MAX_RECORD_BYTES
