"""What a file holds, told from its first bytes: an archive, or records in some container."""

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import IO

from parrot_core.stages.ingest.archives import (
    Member,
    as_stream,
    is_tar,
    is_zip,
    put_back,
    tar_members,
    zip_members,
)
from parrot_core.stages.ingest.containers import Container, JsonFile
from parrot_core.stages.ingest.encodings import as_utf8, wide_encoding
from parrot_core.stages.ingest.parquet_rows import PARQUET_MAGIC, ParquetRows
from parrot_core.stages.ingest.parsing import DamageError
from parrot_core.stages.ingest.passing_over import bare_name
from parrot_core.stages.ingest.tables import (
    ARROW_FILE,
    ARROW_STREAM,
    Rows,
    arrow_records,
    csv_delimiter,
    csv_records,
)
from parrot_core.stages.ingest.unpacking import unpacked
from parrot_core.stages.ingest.utf8 import Utf8Mender

_HEAD_BYTES = 1024
_TABLE = re.compile(r"\.(?:csv|tsv)\Z", re.IGNORECASE)


class Archive:
    """A zip or tar archive, its files still packed."""

    def __init__(self, raw: IO[bytes], chunks: Iterator[bytes] | None) -> None:
        """``chunks`` are a tar archive's bytes; a zip archive is read where its index says."""
        self._raw = raw
        self._chunks = chunks

    def members(self, passed: Counter[str]) -> Iterator[Member]:
        """Yield its data files in turn; what else is there is counted in ``passed``."""
        if self._chunks is None:
            return zip_members(self._raw, passed)
        return tar_members(self._chunks, passed)


def content_of(url: str, raw: IO[bytes], size: int | None) -> Container | Archive:
    """Tell what a file holds; its name counts for tables alone.

    Args:
        raw: it, from its beginning; what can't be sought in is copied to the local disk if need be.
        size: its bytes in storage; None of what is in an archive.

    Raises:
        SourceError: it can't be read.
    """
    seekable = size is not None
    head = raw.read(_HEAD_BYTES)
    if seekable:
        raw.seek(0)
    else:
        raw = put_back(head, raw)
    if is_zip(head):
        return Archive(raw, None)
    if head.startswith((PARQUET_MAGIC, ARROW_FILE)) and not seekable:
        raw, size = _copied(raw)
    if head.startswith(PARQUET_MAGIC):
        return ParquetRows(url, raw, size)

    if head.startswith((ARROW_FILE, ARROW_STREAM)):
        return Rows(arrow_records(url, raw, head, raw), size, raw.tell, raw.close)
    chunks, first = _peeked(unpacked(raw, head))
    if is_tar(first):
        return Archive(raw, chunks)
    if (encoding := wide_encoding(first)) is not None:
        chunks, first = _peeked(as_utf8(chunks, encoding))
    if _TABLE.search(bare_name(url)) and (delimiter := csv_delimiter(first)) is not None:
        mender = Utf8Mender()
        stream = as_stream(mender.mend(chunks))
        return Rows(csv_records(stream, delimiter), size, raw.tell, raw.close)
    return JsonFile(url, chunks, size, raw.tell, raw.close)


def _peeked(chunks: Iterator[bytes]) -> tuple[Iterator[bytes], bytes]:
    """The chunks, and the first of them that isn't empty; damage comes where it is."""
    first = b""
    try:
        first = next((chunk for chunk in chunks if chunk), b"")
    except DamageError as damage:
        return _broken(damage), b""
    return chain([first], chunks), first


def _broken(damage: DamageError) -> Iterator[bytes]:
    raise damage
    yield b""


def _copied(stream: IO[bytes]) -> tuple[IO[bytes], int]:
    """A copy on the local disk, gone when it is closed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the container
    shutil.copyfileobj(stream, file, 1 << 20)
    size = file.tell()
    file.seek(0)
    return file, size
