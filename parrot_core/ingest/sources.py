"""Opens source files wherever they are and yields their records in one pass, memory flat."""

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Self, cast

import fsspec
from fsspec.utils import infer_compression

from parrot_core.errors import ParrotError, SourceError, StorageError
from parrot_core.ingest.layouts import SHAREGPT, describe
from parrot_core.ingest.parsing import BadRecord, DamageError, array_records, line_records
from parrot_core.ingest.utf8 import Utf8Mender
from parrot_core.packaged import is_packaged, packaged_file

CHUNK_BYTES = 1 << 20
SUFFIXES = (".json", ".jsonl", ".ndjson")
_PEEKED_RECORDS = 32
_DECOMPRESSORS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "gzip": lambda raw: cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="rb")),
    "bz2": lambda raw: cast(IO[bytes], bz2.BZ2File(raw)),
    "xz": lambda raw: cast(IO[bytes], lzma.LZMAFile(raw)),  # noqa: SIM115 - the raw file is closed
}


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record of a source file, or the place where one should be."""

    index: int  # position in the file, from zero
    record: object  # the parsed JSON value; the raw text when there is a problem
    problem: str = ""  # why no record could be read here; names the line


class Source:
    """One open source file: iterate once, in a ``with`` block.

    ``warnings`` fills as the file is read: damage, cut-off ends and mended characters.
    """

    def __init__(self, url: str, raw: IO[bytes], total_bytes: int | None) -> None:
        """Recognise the container and the layout from the file's beginning."""
        self.url = url
        self.total_bytes = total_bytes
        self.warnings: list[str] = []
        self.records = 0
        self._raw = raw
        self._mender = Utf8Mender()
        self._beyond: str | None = None  # why the compressed stream broke off
        self._stream = self._recognise()

    @property
    def bytes_read(self) -> int:
        """Bytes taken from storage so far, compressed ones as they are stored."""
        return self._raw.tell()

    def __enter__(self) -> Self:
        """Keep the file open for the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file."""
        self._raw.close()

    def __iter__(self) -> Iterator[SourceRecord]:
        """Yield what the file holds, in one pass."""
        for index, record in enumerate(self._stream):
            self.records = index + 1
            if isinstance(record, BadRecord):
                yield SourceRecord(index, record.text, record.why)
            else:
                yield SourceRecord(index, record)
        self._warn_of_mended()

    def _recognise(self) -> Iterator[object]:
        chunks = self._mender.mend(self._chunks())
        head = next((chunk for chunk in chunks if chunk.strip()), b"")
        parse = _container(self.url, head)
        stream = self._until_damage(parse(chain([head], chunks)))
        peeked = list(islice(stream, _PEEKED_RECORDS))
        found = [record for record in peeked if not isinstance(record, BadRecord)]
        if self.warnings and not found:
            raise SourceError(f"{self.url}: holds no whole record; {self.warnings[0]}")
        if peeked and not any(map(SHAREGPT.looks_like, found)):
            what = describe(found[0]) if found else "lines that aren't JSON"
            raise SourceError(f"{self.url}: found {what}, expected {SHAREGPT.expected}")
        return chain(peeked, stream)

    def _until_damage(self, records: Iterable[object]) -> Iterator[object]:
        count = 0
        try:
            for count, record in enumerate(records, start=1):  # noqa: B007 - told below
                yield record
        except DamageError as damage:
            self._warn_of_damage(count, self._beyond or str(damage))
        else:
            if self._beyond:
                self._warn_of_damage(count, self._beyond)

    def _warn_of_damage(self, count: int, why: str) -> None:
        of_total = f" of {self.total_bytes:,}" if self.total_bytes is not None else ""
        self.warnings.append(
            f"{self.url}: {why}; kept all {count:,} whole records before the damage, "
            f"stopped by byte {self.bytes_read:,}{of_total}"
        )

    def _warn_of_mended(self) -> None:
        bad, lone = self._mender.bad_bytes, self._mender.lone_surrogates
        if bad or lone:
            self.warnings.append(
                f"{self.url}: replaced {bad:,} places that aren't UTF-8 and {lone:,} halves of "
                "surrogate pairs with U+FFFD"
            )

    def _chunks(self) -> Iterator[bytes]:
        """Decompressed bytes, up to the end or to where the compressed stream breaks off."""
        compression = infer_compression(self.url.split("::")[0])
        if compression is None:
            while chunk := self._raw.read(CHUNK_BYTES):
                yield chunk
            return
        if compression not in _DECOMPRESSORS:
            raise SourceError(f"{self.url}: compressed as {compression}, expected .gz, .bz2 or .xz")
        packed = _DECOMPRESSORS[compression](self._raw)
        try:
            # read1, since read would lose what it has gathered when the stream breaks off
            while chunk := packed.read1(CHUNK_BYTES):  # type: ignore[attr-defined]
                yield chunk
        except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
            self._beyond = f"the compressed file is cut off or damaged ({error})"


def open_source(url: str) -> Source:
    """Open a file of ShareGPT records: a JSON array, or one record a line.

    Args:
        url: a path, an fsspec URL such as ``s3://``, or ``package://PACKAGE/FILE`` for a file
            that an installed Python package ships; ``.gz``, ``.bz2``, ``.xz`` are unpacked.

    Raises:
        SourceError: missing, unreadable, or in another layout; names the file, what was found
            and what was expected.
        StorageError: the server that holds it can't be reached.
    """
    fs, path = _locate(url)
    with _told(url):
        size = fs.size(path)
        raw = cast(IO[bytes], fs.open(path, "rb"))
    try:
        return Source(url, raw, size)
    except BaseException:
        raw.close()
        raise


def expand_sources(urls: Iterable[str]) -> list[str]:
    """Files that the recipe's sources stand for: a folder's and a pattern's, sorted.

    Raises:
        SourceError: a source that stands for no file.
    """
    files: dict[str, None] = {}
    for url in urls:
        with _told(url):
            files.update(dict.fromkeys(_expand(url)))
    return list(files)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """One clear line for whatever a file system can raise before the first byte is read."""
    try:
        yield
    except ParrotError:
        raise
    except (FileNotFoundError, IsADirectoryError):
        raise SourceError(f"{url}: no such file") from None
    except PermissionError:
        raise SourceError(f"{url}: no permission to read it") from None
    except Exception as error:  # each file system's library has types of its own
        why = str(error) or type(error).__name__
        raise StorageError(f"{url}: can't be reached: {why}") from error


def _expand(url: str) -> list[str]:
    fs, path = _locate(url)
    if is_packaged(url) or fs.isfile(path):
        return [url]
    if fs.isdir(path):
        found = [name for name in fs.find(path) if _is_data(name)]
        expected = f"files ending in {', '.join(SUFFIXES)} (or these with .gz)"
    elif fsspec.core.has_magic(path):
        found = [name for name in fs.glob(path) if fs.isfile(name) and not _is_hidden(name)]
        expected = "a pattern that matches files"
    else:
        raise SourceError(f"{url}: no such file")
    if not found:
        raise SourceError(f"{url}: no file found there, expected {expected}")
    return sorted(fs.unstrip_protocol(name) if "://" in url else name for name in found)


def _is_data(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    bare = name.removesuffix(".gz").removesuffix(".bz2").removesuffix(".xz")
    return bare.endswith(SUFFIXES) and not _is_hidden(path)


def _is_hidden(path: str) -> bool:
    return path.rsplit("/", 1)[-1].startswith(".")


def _locate(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    target = str(packaged_file(url)) if is_packaged(url) else url
    try:
        fs, path = fsspec.core.url_to_fs(target)
    except (ValueError, ImportError) as error:
        raise SourceError(f"{url}: can't be reached: {error}") from None
    return fs, path


def _container(url: str, head: bytes) -> Callable[[Iterable[bytes]], Iterator[object]]:
    """The parser for a file that begins with ``head``."""
    text = head.lstrip()
    if text.startswith(b"["):
        return array_records
    if not text:
        raise SourceError(f"{url}: is empty, expected {SHAREGPT.expected}")
    first, *others = text.split(b"\n")
    if any(map(_is_json_object, (first, *others))) or (first.startswith(b"{") and not others):
        return line_records
    found = f"begins with {text[:20]!r}"
    if first.startswith(b"{"):
        found = "one JSON object over several lines"
    raise SourceError(f"{url}: {found}, expected a JSON array or one JSON object a line")


def _is_json_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
