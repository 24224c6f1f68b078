"""The rows of a Parquet file as plain Python values, a bounded batch of a row group at a time."""

from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from parrot_core.errors import SourceError
from parrot_core.stages.ingest.parsing import BadRecord

PARQUET_MAGIC = b"PAR1"
_BATCH_BYTES = 4 << 20
_BATCH_ROWS = 1024


class ParquetRows:
    """A container (see ``containers.Container``) over an open Parquet file.

    A row group that can't be read costs its own rows only: the next ones are read, and
    :meth:`remarks` says how many were lost.
    """

    def __init__(self, url: str, raw: IO[bytes], total_bytes: int | None) -> None:
        """Read the file's index.

        Raises:
            SourceError: the index, which is at the end, isn't there.
        """
        self._raw = raw
        try:
            # Without these two a whole column of a row group is read at once.
            self._file = pq.ParquetFile(
                raw, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True
            )
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            why = str(error).partition("\n")[0]
            raise SourceError(
                f"{url}: a Parquet file that is cut off or damaged: its index, at the end, can't "
                f"be read, and without it no record can ({why})"
            ) from None
        self.total_bytes = total_bytes
        self.total_records: int | None = self._file.metadata.num_rows
        self._bytes_read = 0
        self._lost: dict[int, int] = {}  # row group to rows
        self._why = ""

    @property
    def bytes_read(self) -> int:
        """Compressed bytes of the row groups read so far, up to the file's size at its end."""
        return self._bytes_read

    def records(self) -> Iterator[object | BadRecord]:
        """Yield the rows; one whose text isn't UTF-8 as a BadRecord."""
        for group in range(self._file.num_row_groups):
            info = self._file.metadata.row_group(group)
            size = sum(info.column(n).total_compressed_size for n in range(info.num_columns))
            before, seen = self._bytes_read, 0
            try:
                for batch in self._batches(group):
                    read = seen + batch.num_rows
                    self._bytes_read = before + size * read // max(info.num_rows, 1)
                    yield from plain_rows(batch, f"row group {group}", seen)
                    seen = read
            except (pa.ArrowException, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # storage, not the file
                self._lost[group] = info.num_rows - seen
                self._why = self._why or str(error).partition("\n")[0]
            self._bytes_read = before + size
        self._bytes_read = self.total_bytes or self._bytes_read

    def remarks(self) -> list[str]:
        if not self._lost:
            return []
        groups = ", ".join(map(str, self._lost))
        rows = sum(self._lost.values())
        return [
            f"damaged: {rows:,} of {self.total_records:,} rows, in row groups {groups}, can't be "
            f"read ({self._why}); kept all others"
        ]

    def close(self) -> None:
        self._file.close()
        self._raw.close()

    def _batches(self, group: int) -> Iterator[pa.RecordBatch]:
        info = self._file.metadata.row_group(group)
        rows = _BATCH_BYTES * info.num_rows // max(info.total_byte_size, 1)
        return iter(
            self._file.iter_batches(
                batch_size=max(1, min(rows, _BATCH_ROWS)), row_groups=[group], use_threads=False
            )
        )


def plain_rows(batch: pa.RecordBatch, part: str, first: int) -> Iterator[object | BadRecord]:
    """Yield a batch's rows; ``part`` and ``first`` say where one is that isn't UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for row in range(batch.num_rows):
            try:
                yield from batch.slice(row, 1).to_pylist()
            except UnicodeDecodeError as error:
                why = f"row {first + row} of {part}: not UTF-8 ({error.reason})"
                yield BadRecord("", why)
