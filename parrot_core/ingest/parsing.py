"""Chunks of JSON text to records, one at a time: an array of any length, or one record a line.

Whatever is wrong with a file, every whole record before the damage is yielded first.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import NoReturn

import ijson

MAX_LINE_BYTES = 64 << 20


class DamageError(Exception):
    """The rest of the file can't be read; all records before it have been yielded."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A place that should hold a record and doesn't. The next ones can be read."""

    text: str  # what stands there, as far as it is known
    why: str


def array_records(chunks: Iterable[bytes]) -> Iterator[object | BadRecord]:
    """Yield the elements of a JSON array, holding one at a time.

    Raises:
        DamageError: the array breaks off, or isn't JSON from some place on.
    """
    records = ijson.sendable_list()
    parser = _yajl().items_coro(records, "item")
    for chunk in chunks:
        try:
            parser.send(chunk)
        except ijson.JSONError as error:
            yield from map(_plain, records)
            raise DamageError(f"not JSON ({_first_line(error)})") from None
        yield from map(_plain, records)
        records.clear()
    try:
        parser.close()
    except ijson.JSONError:
        raise DamageError("the file is cut off: its last record isn't whole") from None


def line_records(chunks: Iterable[bytes]) -> Iterator[object | BadRecord]:
    """Yield one record for each line that isn't blank; a line without one yields a BadRecord.

    A line of more than 64 MiB is a BadRecord with its beginning, so that memory stays bounded.
    """
    for number, (line, whole) in enumerate(_lines(chunks), start=1):
        text = line.decode("utf-8", errors="replace").strip()
        if not whole:
            why = f"line {number}: longer than {MAX_LINE_BYTES >> 20} MiB"
            yield BadRecord(text[:1000], why)
        elif text:
            yield _parse_line(text, number)


def _parse_line(text: str, number: int) -> object | BadRecord:
    try:
        record: object = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        why = f"line {number}: not JSON: {error.msg} at column {error.colno}"
    except ValueError as error:  # NaN, Infinity, an integer of thousands of digits
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
            line += piece[: MAX_LINE_BYTES + 1 - len(line)]
            yield bytes(line), len(line) <= MAX_LINE_BYTES
            line.clear()
        line += rest[: MAX_LINE_BYTES + 1 - len(line)]
    if line:
        yield bytes(line), len(line) <= MAX_LINE_BYTES


def _yajl() -> ModuleType:
    """The C parser; the pure-Python one is ten times slower, so its absence is an error."""
    backend = ijson.get_backend("yajl2_c")
    assert isinstance(backend, ModuleType)
    return backend


def _plain(record: object) -> object | BadRecord:
    try:
        return _without_decimals(record)
    except RecursionError:
        return BadRecord("", "nested too deep")


def _without_decimals(value: object) -> object:
    """Floats for ijson's Decimals; its own ``use_float`` stops at integers over 64 bits."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(item, str):
                value[key] = _without_decimals(item)
    elif isinstance(value, list):
        value[:] = [_without_decimals(item) for item in value]
    elif isinstance(value, Decimal):
        return float(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _first_line(error: Exception) -> str:
    first = error.args[0] if error.args else "unreadable"
    text = first.decode("utf-8", errors="replace") if isinstance(first, bytes) else str(first)
    return text.splitlines()[0] if text else "unreadable"
