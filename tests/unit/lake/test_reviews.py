"""Marks of reviewers are kept beside versions, and an export of them is frozen."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from parrot_core.errors import UserError
from parrot_core.lake.reviews import Reviews, exports, read_flagged
from parrot_core.lake.storage import Storage

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_the_last_verdict_on_a_row_counts_and_can_be_taken_back(tmp_path: Path) -> None:
    reviews = Reviews(Storage(str(tmp_path)), "parrot", "demo")
    reviews.mark("a/../../b\u202e", "keep", NOW)
    reviews.mark("a/../../b\u202e", "flag", NOW)
    reviews.mark("c", "keep", NOW, by="ann")
    assert {id: m.verdict for id, m in reviews.marks().items()} == {
        "a/../../b\u202e": "flag",
        "c": "keep",
    }
    reviews.unmark("c")
    assert list(reviews.marks()) == ["a/../../b\u202e"]
    assert not list((tmp_path / "reviews").glob("*b*"))


def test_an_export_holds_the_flagged_ids_and_never_changes(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    reviews = Reviews(storage, "parrot", "demo")
    reviews.mark("b", "flag", NOW)
    reviews.mark("a", "keep", NOW)
    assert reviews.export("odd-ones", NOW).ids == ("b",)
    assert reviews.export("odd-ones", NOW).ids == ("b",)
    reviews.mark("c", "flag", NOW)
    with pytest.raises(UserError, match="other ids"):
        reviews.export("odd-ones", NOW)
    assert read_flagged(storage, "odd-ones").ids == ("b",)
    assert exports(storage) == ["odd-ones"]


def test_an_export_needs_a_plain_name_and_a_missing_one_says_which_there_are(
    tmp_path: Path,
) -> None:
    storage = Storage(str(tmp_path))
    reviews = Reviews(storage, "parrot", "demo")
    with pytest.raises(UserError, match="can't name"):
        reviews.export("../x", NOW)
    reviews.export("here", NOW)
    with pytest.raises(UserError, match="there are: here"):
        read_flagged(storage, "gone")
