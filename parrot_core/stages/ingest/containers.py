"""What a source's records come out of: JSON text, a Parquet file, a Hugging Face dataset."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Protocol

from parrot_core.errors import SourceError
from parrot_core.stages.ingest.json_values import (
    array_records,
    concatenated_records,
    wrapped_records,
)
from parrot_core.stages.ingest.layouts import is_known
from parrot_core.stages.ingest.parsing import BadRecord, DamageError, line_records
from parrot_core.stages.ingest.utf8 import Utf8Mender

JSON_EXPECTED = "a JSON array, one JSON object a line, Parquet, Arrow, CSV or an archive of these"
_WRAPPED = re.compile(rb'\s*\{\s*"((?:[^"\\]|\\.)*)"\s*:\s*(?=\[)')
_MAGIC = {
    b"Obj\x01": "an Avro file",
    "7z\ufffd\ufffd".encode(): "a 7-Zip archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"SQLite format 3": "an SQLite database: export a table as JSON lines",
    b"version https://git-lfs.github.com/spec/v1": (
        "a Git LFS pointer, in place of the file itself: `git lfs pull` fetches that"
    ),
    b"{\\rtf": "a rich-text document",
    b"%PDF": "a PDF",
    b"<": "HTML or XML",
}


class EmptySource(SourceError):
    """A file without a byte, or with white space alone."""


class Container(Protocol):
    """An open source: its records in one pass, and how far that pass is."""

    total_bytes: int | None
    """Size in storage; None when it isn't known."""
    total_records: int | None
    """How many records it holds, when it says so."""

    @property
    def bytes_read(self) -> int:
        """Bytes taken from storage so far, compressed ones as they are stored."""
        ...

    def records(self) -> Iterator[object | BadRecord]:
        """Yield the records.

        Raises:
            SourceError: it isn't what it seemed to be.
            DamageError: the rest can't be read.
        """
        ...

    def remarks(self) -> list[str]:
        """What the reader of the manifest should know, beside damage."""
        ...

    def close(self) -> None: ...


class JsonFile:
    """JSON text: an array, an object that holds one, lines, or objects one after another."""

    total_records: int | None = None

    def __init__(
        self,
        url: str,
        chunks: Iterator[bytes],
        total_bytes: int | None,
        place: Callable[[], int],
        close: Callable[[], None],
    ) -> None:
        """Take its bytes, unpacked; ``place`` says how far the file has been read."""
        self.total_bytes = total_bytes
        self.close = close
        self._url = url
        self._packed = chunks
        self._place = place
        self._mender = Utf8Mender()
        self._broken_off: DamageError | None = None

    @property
    def bytes_read(self) -> int:
        return self._place()

    def records(self) -> Iterator[object | BadRecord]:
        """Each record in turn, or what is damaged in its place."""
        chunks = self._mender.mend(self._chunks())
        head = next((chunk for chunk in chunks if chunk.strip()), b"")
        if not head and self._broken_off:
            raise self._broken_off
        parse, skipped = _parser(self._url, head)
        try:
            yield from parse(chain([head[skipped:]], chunks))
        except DamageError as damage:
            raise self._broken_off or damage from None
        if self._broken_off:
            raise self._broken_off

    def remarks(self) -> list[str]:
        """What a reader should know of bytes that were replaced."""
        bad, lone = self._mender.bad_bytes, self._mender.lone_surrogates
        if not (bad or lone):
            return []
        return [
            f"replaced {bad:,} places that aren't UTF-8 and {lone:,} halves of surrogate pairs "
            "with U+FFFD"
        ]

    def _chunks(self) -> Iterator[bytes]:
        """Bytes up to where a compressed stream breaks off; what is whole is parsed first."""
        try:
            yield from self._packed
        except DamageError as damage:
            self._broken_off = damage


_Parse = Callable[[Iterable[bytes]], Iterator[object | BadRecord]]


def _parser(url: str, head: bytes) -> tuple[_Parse, int]:
    """The parser for a file that begins with ``head``, and how many bytes to skip before it."""
    text = head.lstrip()
    if not text:
        raise EmptySource(f"{url}: is empty, expected {JSON_EXPECTED}")
    if text.startswith(b"["):
        return (line_records if _is_turns(text.split(b"\n", 1)[0]) else array_records), 0
    if (start := _wrapped_array(head)) is not None:
        return wrapped_records, start
    first, *others = text.split(b"\n")
    if first.strip() == b"{" and others and not others[0].lstrip().startswith(b"{"):
        return concatenated_records, 0  # over several lines: no line holds a whole one
    if any(map(_is_json_object, (first, *others))) or (first.startswith(b"{") and not others):
        return line_records, 0
    if first.startswith(b"{"):
        return concatenated_records, 0
    found = next((name for magic, name in _MAGIC.items() if text.startswith(magic)), None)
    raise SourceError(f"{url}: {found or f'begins with {text[:20]!r}'}, expected {JSON_EXPECTED}")


def _wrapped_array(head: bytes) -> int | None:
    """Where the array begins in ``{"data": [{…}, …]}``, if what it holds are records."""
    match = _WRAPPED.match(head)
    if match is None:
        return None
    try:
        first = next(wrapped_records([head[match.end() :]]), None)
    except DamageError:
        return None
    return match.end() if is_known(first) else None


def _is_turns(line: bytes) -> bool:
    """Whether a line is a conversation by itself: a list of turns."""
    try:
        turns = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(turns, list) and is_known(turns)


def _is_json_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
