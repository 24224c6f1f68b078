"""Marks are kept for each reviewer on their own, whatever the ids, and exported under a name."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from parrot_core.errors import StorageError, UserError
from parrot_core.lake.reviews import Reviews, by_row, exports, read_flagged, verdict_of
from parrot_core.lake.storage import Storage

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def reviews(tmp_path: Path) -> Reviews:
    return Reviews(Storage(str(tmp_path)), "parrot", "demo")


def test_a_later_verdict_of_a_reviewer_replaces_their_own_and_can_be_taken_back(
    reviews: Reviews,
) -> None:
    reviews.mark("a/../../b\u202e", "flag", NOW, "ada")
    reviews.mark("a/../../b\u202e", "keep", NOW, "ada", reason="other", note="  it is fine ")
    (mark,) = reviews.marks()
    assert (mark.verdict, mark.reason, mark.note, mark.by) == ("keep", "other", "it is fine", "ada")
    reviews.unmark("a/../../b\u202e", "ada")
    assert reviews.marks() == []


def test_reviewers_never_overwrite_each_other(reviews: Reviews, tmp_path: Path) -> None:
    reviews.mark("a", "flag", NOW, "ada")
    other = Reviews(Storage(str(tmp_path)), "parrot", "demo")
    other.mark("a", "keep", NOW, "bob")
    other.unmark("a", "nobody")
    found = {mark.by: mark.verdict for mark in reviews.marks()}  # seen though made elsewhere
    assert found == {"ada": "flag", "bob": "keep"}


def test_nobody_marks_without_a_name(reviews: Reviews) -> None:
    for name in ("", "  \n", "\x00"):
        with pytest.raises(UserError, match="who you are"):
            reviews.mark("a", "flag", NOW, name)


def test_what_most_say_counts_and_a_tie_is_unsure(reviews: Reviews) -> None:
    said = {"ada": "flag", "bob": "flag", "cyd": "keep"}
    for name, verdict in said.items():
        reviews.mark("a", verdict, NOW, name)  # type: ignore[arg-type]
        reviews.mark("b", "keep" if name == "ada" else "unsure", NOW, name)
    reviews.mark("c", "flag", NOW, "ada")
    reviews.mark("c", "keep", NOW, "bob")
    rows = by_row(reviews.marks())
    assert {row: verdict_of(marks) for row, marks in rows.items()} == {
        "a": "flag",
        "b": "keep",
        "c": "unsure",
    }
    assert verdict_of([]) is None


def test_an_export_freezes_what_most_flag_and_is_read_by_its_name(
    reviews: Reviews, tmp_path: Path
) -> None:
    storage = Storage(str(tmp_path))
    for id, verdict in (("a", "keep"), ("b", "flag")):
        reviews.mark(id, verdict, NOW, "ada")  # type: ignore[arg-type]
    assert reviews.export("odd-ones", NOW).ids == ("b",)
    reviews.mark("c", "flag", NOW, "ada")
    with pytest.raises(UserError, match="an export 'odd-ones' of 1 other ids exists"):
        reviews.export("odd-ones", NOW)
    assert read_flagged(storage, "odd-ones").ids == ("b",)
    assert exports(storage) == ["odd-ones"]


def test_a_wrong_name_or_a_damaged_export_is_told(reviews: Reviews, tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    with pytest.raises(UserError, match="can't name an export"):
        reviews.export("../x", NOW)
    with pytest.raises(UserError, match=r"'gone' \(there are: none\)"):
        read_flagged(storage, "gone")
    storage.write_json("reviews/exports/odd.json", {"name": "odd"})
    with pytest.raises(StorageError, match="not a review export we know"):
        read_flagged(storage, "odd")
