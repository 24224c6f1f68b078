"""Write one attempt's rows or rejects as Parquet files with checksums, memory bounded."""

import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from parrot_core.errors import CorruptFile
from parrot_core.lake.manifest import FileEntry
from parrot_core.lake.storage import Storage

ROWS_IN_MEMORY = 1000
CHARS_IN_MEMORY = 32 << 20  # fewer rows where rows are huge

_OF_ATTEMPT = re.compile(
    r"(?:shards|rejects)/\d{5,}-(?P<rows>[0-9a-f]{12})-\d+\.parquet"
    r"|(?P<model>[0-9a-f]{12})/.+"
)


def attempt_of(path: str) -> str | None:
    """The attempt that wrote a file of a version, or None for a file that no attempt wrote."""
    found = _OF_ATTEMPT.fullmatch(path)
    return (found["rows"] or found["model"]) if found else None


class ParquetFiles:
    """Rows to ``<folder>/<subfolder>/<stem>-<n>.parquet``, written locally first, then uploaded."""

    def __init__(
        self,
        storage: Storage,
        folder: str,
        stem: str,
        schema: pa.Schema,
        rows_per_file: int,
        scratch: Path | None = None,
    ) -> None:
        """``stem`` is unique to the attempt, such as ``shards/00007-a1b2c3``.

        ``scratch`` is an existing local folder for the file being written.
        """
        self._storage = storage
        self._folder = folder
        self._stem = stem
        self._schema = schema
        self._rows_per_file = rows_per_file
        self._scratch = tempfile.TemporaryDirectory(prefix="parrot-shard-", dir=scratch)
        self._rows: list[dict[str, Any]] = []
        self._chars = 0
        self._writer: pq.ParquetWriter | None = None
        self._in_file = 0
        self.files: list[FileEntry] = []
        self.rows = 0

    def __enter__(self) -> "ParquetFiles":
        return self

    def __exit__(self, *raised: object) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._scratch.cleanup()

    def append(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self.rows += 1
        self._chars += _chars(row)
        if (
            len(self._rows) >= min(ROWS_IN_MEMORY, self._rows_per_file - self._in_file)
            or self._chars >= CHARS_IN_MEMORY
        ):
            self._flush()

    def finish(self) -> tuple[FileEntry, ...]:
        """Write what is left and return the files."""
        self._flush()
        self._finish_file()
        return tuple(self.files)

    @property
    def _local(self) -> Path:
        return Path(self._scratch.name) / "part.parquet"

    def _flush(self) -> None:
        if not self._rows:
            return
        table = table_of(self._rows, self._schema)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._local, self._schema, compression="zstd")
        self._writer.write_table(table)
        self._in_file += len(self._rows)
        self._rows = []
        self._chars = 0
        if self._in_file >= self._rows_per_file:
            self._finish_file()

    def _finish_file(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        path = f"{self._stem}-{len(self.files)}.parquet"
        self.files.append(
            upload_entry(self._storage, self._local, self._folder, path, self._in_file)
        )
        self._in_file = 0
        self._local.unlink()


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as Arrow makes them, but lists of messages four times as fast."""
    columns = [_array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if not pa.types.is_list(kind) or not pa.types.is_struct(kind.value_type) or None in values:
        return pa.array(values, kind)
    items = [item for value in values for item in value]
    if None in items:
        return pa.array(values, kind)
    fields = list(kind.value_type)
    inner = [_array([item.get(field.name) for item in items], field.type) for field in fields]
    ends = pa.array(accumulate(map(len, values), initial=0), pa.int32())
    return pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(inner, fields=fields), kind)


def _chars(row: dict[str, Any]) -> int:
    """Characters of a row's texts and of its lists of messages: what can be long."""
    total = 0
    for value in row.values():
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                total += len(item.get("content") or "")
    return total


def upload_entry(storage: Storage, local: Path, folder: str, path: str, rows: int) -> FileEntry:
    """Upload a file and describe it as a manifest does."""
    entry = _entry(local, path, rows)
    storage.upload(local, f"{folder}/{path}")
    return entry


def upload_verified(storage: Storage, local: Path, folder: str, path: str) -> FileEntry:
    """Upload a large file and read it back: what was put together from parts is what was sent.

    Raises:
        CorruptFile: storage holds something else.
    """
    entry = upload_entry(storage, local, folder, path, 0)
    found = storage.sha256(f"{folder}/{path}")
    if found != entry.sha256:
        raise CorruptFile(storage.show(f"{folder}/{path}"), f"SHA-256 {entry.sha256}", found)
    return entry


def _entry(local: Path, path: str, rows: int) -> FileEntry:
    with local.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(path=path, rows=rows, bytes=local.stat().st_size, sha256=digest)
