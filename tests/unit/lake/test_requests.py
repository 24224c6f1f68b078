from pathlib import Path

import pytest

from parrot_core.lake.request_counter import RequestCounter
from parrot_core.lake.requests import bill, counted, requests_of
from parrot_core.lake.storage import Storage


class Billed(Storage):
    """A local storage that counts as if it were S3."""

    counter = RequestCounter()

    def requests(self) -> dict[str, int]:
        return dict(self.counter.counts())


def test_requests_are_kept_by_stage_whatever_else_the_process_sent(tmp_path: Path) -> None:
    storage = Billed(str(tmp_path))
    storage.counter.count("before-send.s3.GetObject")
    for _ in range(2):
        with counted(storage, "r", "seeds"):
            storage.counter.count("before-send.s3.GetObject")
            storage.counter.count("before-send.s3.PutObject")

    def failing() -> None:
        with counted(storage, "r", "filter"):
            storage.counter.count("before-send.s3.ListObjectsV2")
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        failing()
    with counted(storage, "r", "idle"):
        pass
    assert requests_of(storage, "r") == {
        "seeds": {"GetObject": 2, "PutObject": 2},
        "filter": {"ListObjectsV2": 1},
    }


def test_a_local_lake_keeps_no_counts(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    with counted(storage, "r", "seeds"):
        storage.write_bytes("x", b"x")
    assert storage.list("") == ["x"]


def test_listings_are_billed_as_writes_and_deletions_not_at_all() -> None:
    made = {"PutObject": 1000, "ListObjectsV2": 1000, "GetObject": 10_000, "DeleteObject": 9_999}
    assert bill(made, 0.005, 0.0004) == pytest.approx(0.01 + 0.004)
