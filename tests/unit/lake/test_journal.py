import asyncio
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.errors import LeaseLost, StorageError
from parrot_core.lake.holder import this_process
from parrot_core.lake.journal import Entry, Journal, UnwritableEntry, read_entries, usage_of
from parrot_core.lake.leases import Claims, Lease, LeaseTimes, take
from parrot_core.lake.storage import Storage

GONE = this_process().model_copy(update={"started": 1})
"""A process of this machine that has ended: its lease is taken over at once."""


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


class SlowStorage(Storage):
    """Writes take until they are let go."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def write_bytes(self, path: str, data: bytes) -> None:
        self.begun.set()
        assert self.may_end.wait(60)
        super().write_bytes(path, data)


def test_a_completion_is_written_at_once_and_those_that_come_meanwhile_share_the_next_file(
    tmp_path: Path,
) -> None:
    storage = SlowStorage(str(tmp_path))

    async def buy() -> None:
        journal = Journal(storage, "journal", 0)
        first = asyncio.create_task(journal.record(entry("a")))
        await asyncio.to_thread(storage.begun.wait, 60)
        others = [asyncio.create_task(journal.record(entry(str(n)))) for n in range(50)]
        await asyncio.sleep(0)
        assert storage.list("journal") == []
        storage.may_end.set()
        await asyncio.gather(first, *others)

    asyncio.run(buy())
    first, second = storage.list("journal")
    assert pq.read_table(tmp_path / first).num_rows == 1
    assert pq.read_table(tmp_path / second).num_rows == 50


def test_writes_of_one_journal_keep_their_distance(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))

    async def buy() -> None:
        journal = Journal(storage, "journal", 60)
        await journal.record(entry("a"))
        second = asyncio.create_task(journal.record(entry("b")))
        await asyncio.wait([second], timeout=0.05)
        assert not second.done()
        assert [e.key for e in read_entries(storage, "journal")] == ["a"]
        second.cancel()

    asyncio.run(buy())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3), st.booleans())))
def test_the_running_sum_is_that_of_all_entries(steps: list[tuple[str, int, bool]]) -> None:
    """Answers bought twice, refusals, what was previewed, and an attempt that goes on."""
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(folder)
        asyncio.run(Journal(storage, "previews", 0).record(entry("f")))
        journal = Journal(storage, "journal", 0, previews="previews")
        for key, tokens, resumes in steps:
            if journal.get(key) is None or tokens:
                refused = "request_refused" if tokens == 3 else None
                usd = 0.0 if refused else 0.1 * tokens
                new = replace(entry(key), completion_tokens=tokens, usd=usd, refused=refused)
                asyncio.run(journal.record(replace(new, engine=f"engine {tokens % 2}")))
            assert journal.usage() == usage_of(journal.entries())
            if resumes:
                journal = Journal(storage, "journal", 0, previews="previews")
                assert journal.usage() == usage_of(journal.entries())


def test_what_waits_when_the_loop_ends_is_written_by_close(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    journal = Journal(storage, "journal", 60)

    async def killed() -> None:
        await journal.record(entry("first"))
        task = asyncio.create_task(journal.record(entry("paid")))
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(killed())
    journal.close()
    assert [e.key for e in read_entries(storage, "journal")] == ["first", "paid"]


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


def test_an_answer_that_could_not_be_written_is_tried_again_at_the_end(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    blocked = tmp_path / "journal"
    journal = Journal(storage, "journal", 0.01)

    async def buy() -> None:
        blocked.write_text("a file where the folder should be")
        with pytest.raises(StorageError):
            await journal.record(entry("a"))

    asyncio.run(buy())
    blocked.unlink()
    journal.close()
    assert [e.key for e in read_entries(storage, "journal")] == ["a"]


@pytest.mark.parametrize(
    "bad", [{"text": "half \ud83d"}, {"prompt_tokens": 10**30}, {"text": 3}, {"thinking": "\ud83d"}]
)
def test_an_entry_that_no_file_can_hold_costs_itself_alone(
    tmp_path: Path, bad: dict[str, Any]
) -> None:
    storage = Storage(str(tmp_path))

    async def buy() -> list[BaseException | None]:
        journal = Journal(storage, "journal", 0.05)
        entries = [entry("a"), replace(entry("b"), **bad), entry("c")]
        return await asyncio.gather(*map(journal.record, entries), return_exceptions=True)

    first, second, third = asyncio.run(buy())
    assert (first, type(second), third) == (None, UnwritableEntry, None)
    assert [e.key for e in read_entries(storage, "journal")] == ["a", "c"]


def test_thinking_and_refusals_are_kept(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    kept = replace(entry("a"), thinking="hm", refused="request_refused", detail="HTTP 400: no")
    asyncio.run(Journal(storage, "journal", 0.01).record(kept))
    assert Journal(storage, "journal", 0.01).get("a") == kept


def lease_of(storage: Storage, attempt: str) -> Lease:
    taken = take(Claims(storage, "claims", "shard 0"), attempt, GONE, LeaseTimes())
    assert isinstance(taken, Lease)
    return taken


def test_a_worker_that_was_superseded_journals_nothing(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    journal = Journal(storage, "journal", 0.01, lease_of(storage, "a1"))
    lease_of(storage, "a2")

    async def buy() -> None:
        with pytest.raises(LeaseLost):
            await journal.record(entry("a"))
        with pytest.raises(LeaseLost):  # and asks for nothing more to be bought
            journal.get("b")

    asyncio.run(buy())
    with pytest.raises(LeaseLost):
        journal.close()
    assert storage.list("journal") == []


def test_of_two_answers_to_one_request_the_later_epochs_counts(tmp_path: Path) -> None:
    """A paused worker wrote after its successor had loaded the journal and bought its own."""
    storage = Storage(str(tmp_path))
    leases = [lease_of(storage, "a1"), lease_of(storage, "a2")]
    journals = [Journal(storage, "journal", 0.01, lease) for lease in leases]
    answers = [replace(entry("k"), text=text) for text in ("of the paused", "of the successor")]

    async def buy() -> None:
        await journals[1].record(answers[1])
        storage.delete(["claims/000002.json"])  # as if it had checked a moment before
        await journals[0].record(answers[0])

    asyncio.run(buy())
    found = Journal(storage, "journal", 0.01).get("k")
    assert found is not None
    assert found.text == "of the successor"
