import asyncio
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from parrot_core.errors import StorageError
from parrot_core.lake.journal import Entry, Journal, read_entries
from parrot_core.lake.storage import Storage


def entry(key: str) -> Entry:
    return Entry(key, f"row/{key}", "answerer", "m", f"text {key}", "stop", 3, 4, 0.5, "2026-01-01")


def test_a_completion_is_on_storage_when_record_returns(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))

    async def buy() -> None:
        journal = Journal(storage, "journal", 0.01)
        await journal.record(entry("a"))
        assert [e.key for e in read_entries(storage, "journal")] == ["a"]

    asyncio.run(buy())
    assert Journal(storage, "journal", 0.01).get("a") == entry("a")


def test_completions_that_arrive_together_share_a_file(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))

    async def buy() -> None:
        journal = Journal(storage, "journal", 0.05)
        await asyncio.gather(*(journal.record(entry(str(n))) for n in range(100)))

    asyncio.run(buy())
    files = storage.list("journal")
    assert len(files) == 1
    assert pq.read_table(tmp_path / files[0]).num_rows == 100


def test_what_waits_when_the_loop_ends_is_written_by_close(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    journal = Journal(storage, "journal", 60)

    async def killed() -> None:
        task = asyncio.create_task(journal.record(entry("paid")))
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(killed())
    journal.close()
    assert [e.key for e in read_entries(storage, "journal")] == ["paid"]


def test_nothing_may_depend_on_a_completion_that_could_not_be_written(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))

    async def buy() -> None:
        journal = Journal(storage, "journal", 0.01)
        (tmp_path / "journal").write_text("a file where the folder should be")
        with pytest.raises(StorageError):
            await journal.record(entry("a"))
        assert journal.get("a") is None

    asyncio.run(buy())


def test_a_damaged_journal_file_is_named_not_skipped(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write_bytes("journal/x.parquet", b"PAR1 damaged")
    with pytest.raises(StorageError, match=r"x\.parquet: damaged journal file"):
        Journal(storage, "journal", 0.01)


def test_remove_leaves_no_file(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))

    async def buy() -> Journal:
        journal = Journal(storage, "journal", 0.01)
        await journal.record(entry("a"))
        return journal

    asyncio.run(buy()).remove()
    assert storage.list("journal") == []
