"""Columns on disk are sorted as lists in memory would be, whatever fits into a block or a range."""

import struct
import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.stages.ingest.columns import Columns

NUMBERS = st.one_of(st.integers(0, 6), st.integers(0, 2**64 - 1), st.just(2**64 - 1))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=60)


@settings(deadline=None)
@given(rows=ROWS, at_once=st.integers(1, 20), rows_a_block=st.integers(1, 9))
def test_each_column_is_sorted_and_grouped_as_a_list_would_be(
    rows: list[tuple[int, ...]], at_once: int, rows_a_block: int
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Columns(Path(folder) / "new", 3, at_once, rows_a_block) as columns,
    ):
        for row in rows:
            columns.append(struct.pack("=3Q", *row))
        assert len(columns) == len(rows)
        for column in range(3):
            numbers = [row[column] for row in rows]
            assert [columns.at(column, place) for place in range(len(rows))] == numbers
            found = [
                (number, place)
                for values, places in columns.ascending(column)
                for number, place in zip(values.tolist(), places.tolist(), strict=True)
            ]
            assert found == sorted((number, place) for place, number in enumerate(numbers))
            held = defaultdict(list)
            for place, number in enumerate(numbers):
                held[number].append(place)
            alike = [held[number] for number in sorted(held) if number and len(held[number]) > 1]
            assert [places.tolist() for places in columns.alike(column)] == alike


def test_no_range_is_much_longer_than_what_is_to_be_sorted_at_once(tmp_path: Path) -> None:
    with Columns(tmp_path, 1, at_once=1000, rows_a_block=128) as columns:
        for number in range(20_000):
            columns.append(struct.pack("=Q", number * 0x9E3779B97F4A7C15 % 2**64))
        lengths = [places.size for _, places in columns.ascending(0)]
    assert sum(lengths) == 20_000
    assert max(lengths) < 2000


def test_rows_may_be_added_after_some_were_read(tmp_path: Path) -> None:
    with Columns(tmp_path, 2, rows_a_block=2) as columns:
        for number in range(5):
            columns.append(struct.pack("=2Q", number, 9 - number))
            assert columns.at(1, number) == 9 - number
        values = [number for numbers, _ in columns.ascending(1) for number in numbers.tolist()]
    assert values == [5, 6, 7, 8, 9]
