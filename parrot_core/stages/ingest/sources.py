"""Opens sources wherever they are and yields their records in one pass, memory flat."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Self, cast

from parrot_core.engines.types import Message
from parrot_core.errors import SourceError
from parrot_core.stages.ingest import hub_datasets
from parrot_core.stages.ingest.containers import Container, EmptySource
from parrot_core.stages.ingest.contents import Archive, content_of
from parrot_core.stages.ingest.layouts import (
    LAYOUTS,
    USUAL,
    Layout,
    Misfit,
    Reading,
    describe,
    most_likely,
    nearest,
    shape,
)
from parrot_core.stages.ingest.locating import locate, naming
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
        self,
        url: str,
        container: Container,
        layout: str | Layout | None = None,
        reading: Reading = USUAL,
        member: str = "",
    ) -> None:
        """Recognise the layout from the first records, or check that they are in the given one."""
        self.url = url
        self.member = member
        """Its path in the archive that it is in."""
        self.reading = reading
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
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[SourceRecord]:
        unfold = self.layout.unfold
        for index, record in enumerate(self._stream):
            self.records = index + 1
            if isinstance(record, BadRecord):
                self._bad += 1
                self._first_bad = self._first_bad or record.why
                yield SourceRecord(index, record.text, record.why)
            elif unfold is None:
                yield SourceRecord(index, record)
            else:
                for conversation in unfold(record, self.reading):
                    yield SourceRecord(index, conversation)
        if self._bad:
            kept = self.records - self._bad
            bad = "1 place holds" if self._bad == 1 else f"{self._bad:,} places hold"
            self._warn(
                f"{bad} no whole record (the first: {self._first_bad}); kept all {kept:,} others"
            )
        for remark in self._container.remarks():
            self._warn(remark)

    def read(self, record: object) -> list[Message] | Misfit:
        """A record's messages, or why they can't be read."""
        return self.layout.read(record, self.reading)

    def _recognise(self, named: str | Layout | None) -> tuple[Iterator[object], Layout]:
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
            raise SourceError(f"{self.url}: {_unknown(found, layout if named else None)}")
        records = chain(peeked, stream)
        return (layout.gather(records) if layout.gather else records), layout

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


def _unknown(found: Sequence[object], wanted: Layout | None) -> str:
    """What the records are like, and what was wanted or comes nearest."""
    if not found:
        what, wanted = "lines that aren't JSON", wanted or LAYOUTS["openai_messages"]
    else:
        what = shape(found[0]) if isinstance(found[0], (dict, list)) else describe(found[0])
    if wanted:
        return f"found {what}, expected records as {wanted.expected} ({wanted.name})"
    near = nearest(found[0])
    return (
        f"found {what}, expected a known layout, the nearest being {near.expected} ({near.name}); "
        f"docs/how-to/sources.md has them all: {', '.join(LAYOUTS)}"
    )


@dataclass(frozen=True, slots=True)
class UnreadableMember:
    """A file of an archive that can't be read, and why."""

    member: str
    why: str


def open_source(
    url: str, layout: str | Layout | None = None, reading: Reading = USUAL, *, member: str = ""
) -> OpenSource:
    """Open the only document of a file of conversations, or one member of an archive.

    Raises:
        SourceError: as :func:`open_documents`; or it is an archive without that member.
        StorageError: as there.
    """
    for document in open_documents(url, layout, reading):
        if isinstance(document, UnreadableMember):
            raise SourceError(f"{url}: {document.member}: {document.why}")
        if member in ("", document.member):
            return document
        document.close()
    raise SourceError(f"{url}: holds no data{f' called {member}' if member else ''}")


def open_documents(
    url: str,
    layout: str | Layout | None = None,
    reading: Reading = USUAL,
    passed: Counter[str] | None = None,
) -> Iterator[OpenSource | UnreadableMember]:
    """Yield what a file or a dataset of conversations holds: itself, or an archive's data files.

    Each must be read before the next is taken; it closes with the block that reads it.

    Args:
        url: a path, an fsspec URL such as ``s3://`` or ``hf://``, ``package://PACKAGE/FILE`` for a
            file that an installed Python package ships, or ``datasets://NAME``. What kind of file
            it is, and how it is compressed, is told from its content.
        layout: how its records are laid out; recognised from the first ones when not given.
        passed: counts an archive's files that are no data, by what they are.

    Raises:
        SourceError: missing, unreadable, or in another layout; names the file, what was found
            and what was expected.
        StorageError: the server that holds it can't be reached.
    """
    if url.startswith(hub_datasets.SCHEME):
        with naming(url):
            rows = hub_datasets.DatasetRows(url)
        yield _opened(url, rows, layout, reading)
        return
    with naming(url):
        fs, path = locate(url)
        size = fs.size(path)
        raw = cast(IO[bytes], fs.open(path, "rb"))
    try:
        opened = content_of(url, raw, size)
        if isinstance(opened, Archive):
            counts = Counter() if passed is None else passed
            yield from _of_archive(url, opened, layout, reading, counts)
            raw.close()
            return
    except BaseException:
        raw.close()
        raise
    yield _opened(url, opened, layout, reading)


def readable_documents(url: str, faults: list[str]) -> Iterator[OpenSource]:
    """Yield what can be read of a file; ``faults`` takes in the lines on what can't."""
    try:
        for document in open_documents(url):
            if isinstance(document, UnreadableMember):
                faults.append(f"{url}!{document.member}: {document.why}")
            else:
                yield document
    except SourceError as error:
        faults.append(str(error))


def _opened(
    url: str, container: Container, layout: str | Layout | None, reading: Reading, member: str = ""
) -> OpenSource:
    try:
        return OpenSource(url, container, layout, reading, member)
    except BaseException:
        container.close()
        raise


def _of_archive(
    url: str, archive: Archive, layout: str | Layout | None, reading: Reading, passed: Counter[str]
) -> Iterator[OpenSource | UnreadableMember]:
    try:
        for member in archive.members(passed):
            if member.stream is None:
                yield UnreadableMember(member.name, member.problem)
                continue
            inner = f"{url}!{member.name}"
            try:
                container = content_of(inner, member.stream, None)
                if isinstance(container, Archive):
                    yield UnreadableMember(member.name, "an archive in an archive: unpack it")
                    continue
                document = _opened(inner, container, layout, reading, member.name)
            except EmptySource:
                passed["empty"] += 1
            except SourceError as error:
                yield UnreadableMember(member.name, str(error).removeprefix(f"{inner}: "))
            else:
                yield document
    except DamageError as damage:
        yield UnreadableMember("", str(damage))
