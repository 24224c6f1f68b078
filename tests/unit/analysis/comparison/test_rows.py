"""Rows of two versions are told apart by id and by column."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.analysis.comparison.rows import RowsDifference, compare_rows, excerpts
from parrot_core.errors import CorruptFile
from parrot_core.lake.lake import DatasetVersion, Lake
from tests.support.lakes.run_state import publish

Contents = dict[str, str | None]


def version(lake: Lake, name: str, queries: Contents, repeat: int = 0) -> DatasetVersion:
    rows = [
        {"id": id, "source_ids": ["c"], "language": "en", "query": query}
        for id, query in queries.items()
    ]
    publish(lake, "seeds", [*rows, *rows[:repeat]], run=name, unit="query")
    return lake.dataset("seeds", name)


def compare(a: Contents, b: Contents, at_once: int = 100) -> RowsDifference:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        return compare_rows(version(lake, "a", a), version(lake, "b", b), at_once=at_once)


contents = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=2), st.none() | st.text(max_size=3), max_size=12
)


@settings(max_examples=30, deadline=None)
@given(contents)
def test_a_version_differs_in_nothing_from_its_copy(rows: Contents) -> None:
    found = compare(rows, dict(reversed(rows.items())))
    assert found == RowsDifference(same=len(rows))
    assert found.empty


@settings(max_examples=40, deadline=None)
@given(contents, contents, st.integers(1, 5))
def test_every_row_is_counted_once_and_both_ways_alike(
    a: Contents, b: Contents, at_once: int
) -> None:
    there, back = compare(a, b, at_once), compare(b, a, at_once)
    both = a.keys() & b.keys()
    assert there.changed == sum(a[id] != b[id] for id in both)
    assert there.same == len(both) - there.changed
    assert (there.added, there.removed) == (len(b.keys() - a.keys()), len(a.keys() - b.keys()))
    assert (there.added, there.removed) == (back.removed, back.added)
    assert (there.same, there.changed, there.columns) == (back.same, back.changed, back.columns)
    assert [(e.id, e.before, e.after) for e in there.examples] == [
        (e.id, e.after, e.before) for e in back.examples
    ]


def test_changed_rows_are_shown_from_where_they_part() -> None:
    long = "the same beginning of a long query that goes on and on, "
    found = compare({"s1": f"{long}one way", "s2": "x"}, {"s1": f"{long}another", "s2": "x"})
    assert found.columns == {"query": 1}
    assert found.examples[0].before == "…ry that goes on and on, one way"
    assert found.examples[0].after == "…ry that goes on and on, another"


def test_null_is_not_the_empty_text() -> None:
    found = compare({"s1": None}, {"s1": ""})
    assert (found.examples[0].before, found.examples[0].after) == ("null", "")


def test_a_repeated_id_is_counted_once_and_told(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    found = compare_rows(
        version(lake, "a", {"s1": "x", "s2": "y"}), version(lake, "b", {"s1": "x", "s2": "y"}, 1)
    )
    assert (found.same, found.repeated) == (2, (0, 1))
    assert not found.empty


def test_a_damaged_file_is_an_error_not_a_difference(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    a, b = version(lake, "a", {"s1": "x"}), version(lake, "b", {"s1": "y"})
    lake.storage.write_bytes("datasets/seeds/b/shards/00000-0123456789ab-0.parquet", b"not parquet")
    with pytest.raises(CorruptFile):
        compare_rows(a, b)


@given(st.text(max_size=400), st.text(max_size=400))
def test_excerpts_tell_two_texts_apart(before: str, after: str) -> None:
    assert (excerpts(before, after)[0] == excerpts(before, after)[1]) == (before == after)
