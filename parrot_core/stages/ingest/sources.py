"""Opens sources wherever they are and yields their records in one pass, memory flat."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Self, cast

from parrot_core.errors import SourceError
from parrot_core.recipe import LayoutName
from parrot_core.stages.ingest import hub_datasets
from parrot_core.stages.ingest.containers import Container, JsonFile
from parrot_core.stages.ingest.layouts import LAYOUTS, Layout, describe, most_likely
from parrot_core.stages.ingest.locating import locate, naming
from parrot_core.stages.ingest.parquet_rows import PARQUET_MAGIC, ParquetRows
from parrot_core.stages.ingest.parsing import BadRecord, DamageError

_PEEKED_RECORDS = 32


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record of a source, or the place where one should be."""

    index: int  # position in the file, from zero
    record: object  # the parsed value; the raw text when there is a problem
    problem: str = ""  # why no record could be read here; names the place


class OpenSource:
    """One open source: iterate once, in a ``with`` block.

    ``warnings`` fills as it is read: damage, cut-off ends and mended characters.
    """

    def __init__(
        self, url: str, container: Container, layout: LayoutName | Layout | None = None
    ) -> None:
        """Recognise the layout from the first records, or check that they are in the given one."""
        self.url = url
        self.warnings: list[str] = []
        self.records = 0
        self._container = container
        self._bad = 0
        self._first_bad = ""
        self._stream, self.layout = self._recognise(layout)

    @property
    def bytes_read(self) -> int:
        """Bytes taken from storage so far, compressed ones as they are stored; 0 if unknown."""
        return self._container.bytes_read

    @property
    def total_bytes(self) -> int | None:
        """The file's size, if it is known."""
        return self._container.total_bytes

    def records_expected(self) -> int | None:
        """Records it will have given at its end: as it says, or reckoned from the bytes read."""
        if self._container.total_records is not None:
            return self._container.total_records
        if not self.total_bytes or not self.bytes_read:
            return None
        return max(self.records, round(self.records * self.total_bytes / self.bytes_read))

    def __enter__(self) -> Self:
        """Keep it open for the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self._container.close()

    def __iter__(self) -> Iterator[SourceRecord]:
        """Yield what it holds, in one pass."""
        for index, record in enumerate(self._stream):
            self.records = index + 1
            if isinstance(record, BadRecord):
                self._bad += 1
                self._first_bad = self._first_bad or record.why
                yield SourceRecord(index, record.text, record.why)
            else:
                yield SourceRecord(index, record)
        if self._bad:
            kept = self.records - self._bad
            bad = "1 place holds" if self._bad == 1 else f"{self._bad:,} places hold"
            self._warn(
                f"{bad} no whole record (the first: {self._first_bad}); kept all {kept:,} others"
            )
        for remark in self._container.remarks():
            self._warn(remark)

    def _recognise(self, named: LayoutName | Layout | None) -> tuple[Iterator[object], Layout]:
        stream = self._until_damage(self._container.records())
        peeked = list(islice(stream, _PEEKED_RECORDS))
        found = [record for record in peeked if not isinstance(record, BadRecord)]
        if self.warnings and not found:
            raise SourceError(f"{self.warnings[0]}; it holds no whole record")
        if isinstance(named, Layout):
            layout: Layout | None = named
        else:
            layout = LAYOUTS[named] if named else most_likely(found)
        if layout is None or (found and not any(map(layout.looks_like, found))):
            if not peeked:
                return stream, LAYOUTS["sharegpt"]
            what = describe(found[0]) if found else "lines that aren't JSON"
            expected = (layout,) if named and layout else LAYOUTS.values()
            known = ", or ".join(f"{known.expected} ({known.name})" for known in expected)
            raise SourceError(f"{self.url}: found {what}, expected records as {known}")
        return chain(peeked, stream), layout

    def _until_damage(self, records: Iterable[object]) -> Iterator[object]:
        count = bad = 0
        try:
            for count, record in enumerate(records, start=1):  # noqa: B007 - told below
                bad += isinstance(record, BadRecord)
                yield record
        except DamageError as damage:
            size = self.total_bytes
            of_total = f" of {size:,}" if size is not None else ""
            self._warn(
                f"{damage}; kept all {count - bad:,} whole records before the damage, stopped by "
                f"byte {self.bytes_read:,}{of_total}"
            )

    def _warn(self, text: str) -> None:
        self.warnings.append(f"{self.url}: {text}")


def open_source(url: str, layout: LayoutName | Layout | None = None) -> OpenSource:
    """Open a file or a dataset of conversations.

    Args:
        url: a path, an fsspec URL such as ``s3://`` or ``hf://``, ``package://PACKAGE/FILE`` for a
            file that an installed Python package ships, or ``datasets://NAME``. What kind of file
            it is, and how it is compressed, is told from its content.
        layout: how its records are laid out; recognised from the first ones when not given.

    Raises:
        SourceError: missing, unreadable, or in another layout; names the file, what was found
            and what was expected.
        StorageError: the server that holds it can't be reached.
    """
    with naming(url):
        container = _container(url)
    try:
        return OpenSource(url, container, layout)
    except BaseException:
        container.close()
        raise


def _container(url: str) -> Container:
    if url.startswith(hub_datasets.SCHEME):
        return hub_datasets.DatasetRows(url)
    fs, path = locate(url)
    size = fs.size(path)
    raw = cast(IO[bytes], fs.open(path, "rb"))
    try:
        if raw.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
            return ParquetRows(url, raw, size)
        return JsonFile(url, raw, size)
    except BaseException:
        raw.close()
        raise
