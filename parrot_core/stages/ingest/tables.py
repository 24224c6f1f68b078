"""Rows of CSV and TSV files, and of Arrow files, as containers (see ``containers.Container``)."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import IO

import pyarrow as pa

from parrot_core.errors import SourceError
from parrot_core.stages.ingest.parquet_rows import plain_rows
from parrot_core.stages.ingest.parsing import KEPT_CHARS, MAX_RECORD_BYTES, BadRecord, DamageError

ARROW_FILE = b"ARROW1"
ARROW_STREAM = b"\xff\xff\xff\xff"
_DELIMITERS = ",\t;|"
_NAME = re.compile(r"\w[\w .:/-]{0,60}")


def csv_delimiter(head: bytes) -> str | None:
    """What separates the names in the first line of a table; None if it isn't one."""
    line = head.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode(errors="replace").strip()
    counts = {delimiter: line.count(delimiter) for delimiter in _DELIMITERS}
    delimiter = max(counts, key=lambda each: counts[each])
    names = [name.strip().strip('"') for name in line.split(delimiter)]
    sound = len(set(names)) == len(names) and all(map(_NAME.fullmatch, names))
    return delimiter if sound else None


def csv_records(stream: IO[bytes], delimiter: str) -> Iterator[object | BadRecord]:
    """Yield the rows of a table in valid UTF-8 as objects; the first line names their keys.

    Raises:
        DamageError: a quotation mark that never ends, or the rest can't be read.
    """
    csv.field_size_limit(MAX_RECORD_BYTES)
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
    rows = csv.reader((line.replace("\0", "") for line in text), delimiter=delimiter)
    names = [name.strip() for name in next(rows, [])]
    try:
        for row in rows:
            if len(row) == len(names):
                yield dict(zip(names, row, strict=True))
            elif any(cell.strip() for cell in row):
                why = f"line {rows.line_num}: {len(row)} cells, expected {len(names)}"
                yield BadRecord(delimiter.join(row)[:KEPT_CHARS], why)
    except csv.Error as error:
        raise DamageError(f"cut off or damaged at line {rows.line_num} ({error})") from None


def arrow_records(
    url: str, stream: IO[bytes], head: bytes, raw: IO[bytes] | None
) -> Iterator[object | BadRecord]:
    """Yield the rows of an Arrow stream, or of an Arrow file, for which ``raw`` must be seekable.

    Raises:
        SourceError: it is no Arrow data after all.
        DamageError: it breaks off.
    """
    try:
        if head.startswith(ARROW_FILE):
            if raw is None:
                raise SourceError(f"{url}: an Arrow file in an archive or compressed: unpack it")
            file = pa.ipc.open_file(raw)
            batches: Iterator[pa.RecordBatch] = map(file.get_batch, range(file.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(stream))
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{url}: an Arrow file that can't be read ({_line(error)})") from None
    count = 0
    try:
        for batch in batches:
            yield from plain_rows(batch, f"batch {count}", 0)
            count += 1
    except (pa.ArrowException, OSError) as error:
        raise DamageError(f"cut off or damaged in batch {count} ({_line(error)})") from None


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]


class Rows:
    """A container over records that some parser yields."""

    total_records: int | None = None

    def __init__(
        self,
        records: Iterator[object | BadRecord],
        total_bytes: int | None,
        place: Callable[[], int],
        close: Callable[[], None],
        remarks: Callable[[], list[str]] = list,
    ) -> None:
        """``place`` says how far the file has been read."""
        self.total_bytes = total_bytes
        self._records, self._place = records, place
        self.close, self.remarks = close, remarks

    @property
    def bytes_read(self) -> int:
        """See ``containers.Container``."""
        return self._place()

    def records(self) -> Iterator[object | BadRecord]:
        """See ``containers.Container``."""
        return self._records
