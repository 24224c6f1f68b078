"""The journal of a shard: every completion is durable before anything depends on it.

A completion is written at once, unless a write is under way or began less than ``spacing`` seconds
ago: all that arrive until the next one share its small Parquet file. So nobody waits for company,
and the cost in writes is bounded however many sessions are in flight. The journal is removed when
the shard's receipt, which holds the same completions inside its rows, is written.
"""

import asyncio
import io
import math
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from parrot_core.errors import ParrotError, StorageError
from parrot_core.lake.leases import Lease
from parrot_core.lake.manifest import EngineUsage, Usage
from parrot_core.lake.row_groups import table_in
from parrot_core.lake.storage import Storage

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("sample", pa.string(), nullable=False),
        ("engine", pa.string()),
        ("model", pa.string()),
        ("text", pa.string()),
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("usd", pa.float64()),
        ("created_at", pa.string()),
        ("thinking", pa.string()),
        ("refused", pa.string()),  # the reason of a refusal; null for a completion
        ("detail", pa.string()),
    ]
)


_UNWRITABLE = (pa.ArrowException, ValueError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One completion, or one refusal, as the journal keeps it.

    ``key`` is the canonical request's SHA-256. A request that was refused for good is not asked
    again either: ``refused`` is the reason, one of ``stages.reasons.REASONS``, and ``detail`` has
    the provider's words.
    """

    key: str
    sample: str
    engine: str
    model: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    usd: float
    created_at: str
    thinking: str | None = None
    refused: str | None = None
    detail: str | None = None


class UnwritableEntry(ParrotError):
    """An entry that no file can hold; those beside it are written."""


def _table(entries: Sequence[Entry]) -> tuple[pa.Table, dict[int, str]]:
    """Entries as a table, and why those that no table can hold are missing, by their place."""
    rows = [asdict(entry) for entry in entries]
    try:
        return pa.Table.from_pylist(rows, schema=SCHEMA), {}
    except _UNWRITABLE as error:
        if len(rows) == 1:
            return SCHEMA.empty_table(), {0: str(error)}
    parts: list[pa.Table] = []
    bad: dict[int, str] = {}
    for place, entry in enumerate(entries):
        part, why = _table([entry])
        parts.append(part)
        if why:
            bad[place] = why[0]
    return pa.concat_tables(parts), bad


PROBE = "/probe/"
"""In the sample of a tiny request that only asked whether anything is answered."""


def preview_folder(recipe: str, stage: str) -> str:
    """Folder of what `parrot preview` bought for a stage; runs of the recipe take it from there."""
    return f"previews/{recipe}/{stage}"


def checks_folder(run: str, stage: str) -> str:
    """Folder of the tiny requests that a run asked before the first shard of a stage."""
    return f"runs/{run}/{stage}/checks"


def read_entries(storage: Storage, folder: str) -> Iterator[Entry]:
    """Yield the entries of all journal files in a folder."""
    paths = storage.list(folder)
    for path, data in zip(paths, storage.read_many(paths), strict=True):
        if data is None:  # its shard was committed a moment ago
            continue
        try:
            table = table_in(data)
        except pa.ArrowInvalid as error:
            raise StorageError(f"{storage.show(path)}: damaged journal file ({error})") from None
        yield from (Entry(**row) for row in table.to_pylist())


def answered(entries: Iterable[Entry]) -> int:
    """How many requests need not be sent again; probes are sent anew each time."""
    return len({entry.key for entry in entries if PROBE not in entry.sample})


def usage_of(entries: Iterable[Entry]) -> Usage:
    total: Usage = {}
    for entry in entries:
        _count(total, entry)
    return total


def _count(total: Usage, entry: Entry) -> None:
    if entry.refused is not None and not entry.usd:
        return
    used = EngineUsage(
        model=entry.model,
        requests=1,
        prompt_tokens=entry.prompt_tokens,
        completion_tokens=entry.completion_tokens,
        usd=entry.usd,
    )
    total[entry.engine] = total.get(entry.engine, EngineUsage()) + used


class Journal:
    """Completions of one shard. Used from one event loop; writes happen in a thread."""

    def __init__(
        self,
        storage: Storage,
        folder: str,
        spacing: float,
        lease: Lease | None = None,
        previews: str | None = None,
    ) -> None:
        """Load what earlier attempts bought.

        Where two attempts hold answers to one request, the later one's counts: its file names
        begin with its epoch, and are read last. An attempt that was paused may have written after
        its successor had loaded the journal, and the successor went on from an answer of its own.

        Args:
            spacing: least seconds from the beginning of one write to that of the next.
            lease: asked before each write, so that a worker that was superseded writes nothing.
            previews: folder of completions that were bought before the run.
        """
        self._storage = storage
        self._folder = folder
        self._spacing = spacing
        self._next_write = -math.inf  # of the event loop's clock
        self._entries = {entry.key: entry for entry in read_entries(storage, folder)}
        self._usage = usage_of(self._entries.values())
        self._previewed = {
            entry.key: entry for entry in (read_entries(storage, previews) if previews else ())
        }
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._failed: list[Entry] = []
        self._flusher: asyncio.Task[None] | None = None
        self._lease = lease
        self._writer_id = f"{lease.epoch if lease else 0:06d}-{uuid.uuid4().hex[:12]}"
        self._written = 0

    def entries(self) -> Iterator[Entry]:
        """All completions so far, those of earlier attempts included."""
        return iter(list(self._entries.values()))  # a copy: others may read it in another thread

    def usage(self) -> Usage:
        """What all completions so far took, by engine; costs nothing, however many they are."""
        return dict(self._usage)  # likewise

    def get(self, key: str) -> Entry | None:
        """A completion bought earlier, if there is one.

        Raises:
            LeaseLost: it is known that another worker has taken over: nothing more is to be bought.
        """
        if self._lease is not None:
            self._lease.still_ours()
        if key in self._previewed and key not in self._entries:
            self._keep(self._previewed[key])  # the shard uses it, and so it is counted
        return self._entries.get(key)

    async def record(self, entry: Entry) -> None:
        """Keep a completion; returns when it is durable.

        Raises:
            UnwritableEntry: it can't be kept, whenever it is tried.
            StorageError: it could not be written; nothing may depend on it then.
            LeaseLost: another worker has taken the shard over.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        await done
        self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        again = entry.key in self._entries
        self._entries[entry.key] = entry
        if again:
            self._usage = usage_of(self._entries.values())
        else:
            _count(self._usage, entry)

    def close(self) -> None:
        """Write what still waits after the event loop ended early, or could not be written.

        It has been paid for, and the next attempt will find it.
        """
        unwritten = [*self._failed, *(entry for entry, _ in self._waiting)]
        self._failed, self._waiting = [], []
        if unwritten:
            self._write(unwritten)

    async def _flush(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._waiting:
            await asyncio.sleep(max(0.0, self._next_write - clock()))
            self._next_write = clock() + self._spacing
            batch = list(self._waiting)  # stays in line until written: see close
            try:
                bad = await asyncio.to_thread(self._write, [entry for entry, _ in batch])
            except Exception as error:
                self._failed += [entry for entry, _ in batch]
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            else:
                for place, (_, done) in enumerate(batch):
                    if done.done():
                        continue
                    if place in bad:
                        done.set_exception(UnwritableEntry(bad[place]))
                    else:
                        done.set_result(None)
            del self._waiting[: len(batch)]

    def _write(self, entries: list[Entry]) -> dict[int, str]:
        """Write all entries that can be; returns why others can't, by their place."""
        table, bad = _table(entries)
        if not len(table):
            return bad
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        if self._lease is not None:
            self._lease.check()
        path = f"{self._folder}/{self._writer_id}-{self._written:06d}.parquet"
        self._written += 1
        self._storage.write_bytes(path, buffer.getvalue())
        return bad
