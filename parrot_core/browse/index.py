"""The light columns of a version in memory, to filter by and to find a row by its id.

Ids, numbers and short codes of 40,000 dialogues take a few megabytes; texts are left in their
files. Read once a version, since versions don't change, and given up again under a bound.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parrot_core.errors import UserError
from parrot_core.lake.row_lookup import RowLookup

TEXTS = frozenset(
    {
        *("query", "system", "response", "answer", "judge_text", "evidence"),
        *("original", "detail", "request_key"),
    }
)
"""Columns of strings that are read, not filtered by."""

LISTS = frozenset({"flags"})
"""Columns of several short strings a row: a row has the wanted value among them."""

CHOICES = 250
"""A column with more different values than that is no choice; the paper's seeds have 200 topics."""

ALWAYS = ("language", "topic", "reason", "flags", "truncated", "filter")
"""Columns that are offered even where all rows have the same value: it answers the question."""

FEW = 12
"""So many values are a choice even where each occurs once."""

FINISH = "provenance.list.element.finish_reason"
"""The only part of the provenance that is read here."""

MOST_BYTES = 256 * 1024 * 1024
AT_ONCE = 4
"""Files read at once: their reading waits for storage more than for a core."""

Progress = Callable[[int, int], None]
"""Called with files read and files in all."""


def nothing_told(done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows to show: those that fulfil all of it."""

    equal: Mapping[str, str] = field(default_factory=dict)  # column: its value as text
    least: Mapping[str, int] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.equal or self.least or self.most)


class Index:
    """Light columns of one part of a version."""

    def __init__(self, table: pa.Table) -> None:
        """One row a row of the version, in its order."""
        self.table = table

    @property
    def columns(self) -> Sequence[str]:
        return list(self.table.column_names)

    def choices(self) -> dict[str, dict[str, int]]:
        """Columns worth filtering by, each with its values and how often they occur."""
        found: dict[str, dict[str, int]] = {}
        for name in self.table.column_names:
            column = _values(self.table[name])
            if name == "id" or pa.types.is_floating(column.type):
                continue
            if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
                column = column.cast(pa.string())
            counts = pc.value_counts(column).to_pylist()
            most = min(CHOICES, max(FEW, self.table.num_rows // 2))
            least = 1 if name in ALWAYS and column.null_count < len(column) else 2
            if least <= len(counts) <= most:
                counts.sort(key=lambda each: (-each["counts"], str(each["values"])))
                found[name] = {_shown(each["values"]): each["counts"] for each in counts}
        return found

    def matching(self, wanted: RowFilter) -> Sequence[int]:
        """Positions of the rows that fulfil all of it.

        Raises:
            UserError: no such column, or no numbers to hold against a bound.
        """
        mask: pa.ChunkedArray | None = None
        for name, value in wanted.equal.items():
            column = self._column(name)
            if pa.types.is_list(column.type):
                mask = _both(mask, _having(column, value))
            elif value == ABSENT:
                mask = _both(mask, pc.is_null(column))
            else:
                mask = _both(mask, pc.equal(column.cast(pa.string()), value))
        for name, least in wanted.least.items():
            mask = _both(mask, pc.greater_equal(self._numbers(name), least))
        for name, most in wanted.most.items():
            mask = _both(mask, pc.less_equal(self._numbers(name), most))
        if mask is None:
            return range(self.table.num_rows)
        positions: list[int] = pc.indices_nonzero(mask.combine_chunks()).to_pylist()
        return positions

    def among(self, positions: Sequence[int]) -> "Index":
        """The index of some of its rows, to count in."""
        whole = len(positions) == self.table.num_rows
        return self if whole else Index(self.table.take(pa.array(positions, pa.int64())))

    def add(self, name: str, values: pa.Array) -> None:
        """Add a column that was worked out, one value a row; a second time changes nothing."""
        if name not in self.table.column_names:
            self.table = self.table.append_column(name, values)

    def having_ids(self, ids: Collection[str]) -> Sequence[int]:
        """Positions of the rows with one of these ids."""
        mask = pc.is_in(self.table["id"], value_set=pa.array(list(ids), pa.string()))
        positions: list[int] = pc.indices_nonzero(mask).to_pylist()
        return positions

    def _column(self, name: str) -> pa.ChunkedArray:
        if name not in self.table.column_names:
            raise UserError(
                f"no column '{name}' to filter by; there are: {', '.join(self.columns)}"
            )
        return self.table[name]

    def _numbers(self, name: str) -> pa.ChunkedArray:
        column = self._column(name)
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise UserError(f"column '{name}' holds no numbers to set a bound to")
        return column

    def text(self, column: str, position: int) -> str:
        """What a row has in a column, as text; empty where it has nothing, or no such column."""
        known = column in self.table.column_names
        value = self.table[column][position].as_py() if known else None
        return "" if value is None else str(value)

    def find(self, row_id: str) -> int | None:
        position = int(pc.index(self.table["id"], row_id).as_py())
        return position if position >= 0 else None

    def beginning(self, prefix: str) -> Sequence[int]:
        """Positions of the rows whose id begins so."""
        mask = pc.starts_with(self.table["id"], prefix)
        positions: list[int] = pc.indices_nonzero(mask.combine_chunks()).to_pylist()
        return positions


ABSENT = "(none)"
"""How a null is called among the choices."""


def light_columns(schema: pa.Schema) -> list[str]:
    """Columns of numbers, truths and short strings, and a few that hold several of these."""
    return [
        each.name
        for each in schema
        if each.name not in TEXTS
        and (
            pa.types.is_string(each.type)
            or pa.types.is_primitive(each.type)
            or (each.name in LISTS and pa.types.is_list(each.type))
        )
    ]


class Indexes:
    """Indexes of the versions looked at lately, within a bound of memory. Used from any thread."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[str, Index] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, lookup: RowLookup) -> Index | None:
        """The index, if it has been read already."""
        with self._lock:
            if lookup.key in self._kept:
                self._kept.move_to_end(lookup.key)
            return self._kept.get(lookup.key)

    def of(self, lookup: RowLookup, progress: Progress = nothing_told) -> Index:
        """The index of a version, read if need be."""
        known = self.known(lookup)
        if known is not None:
            return known
        index = Index(_read(lookup, progress))
        pa.default_memory_pool().release_unused()  # what reading took beyond the columns
        with self._lock:
            self._kept[lookup.key] = index
            while len(self._kept) > 1 and self._bytes() > self._most:
                self._kept.popitem(last=False)
        return index

    def _bytes(self) -> int:
        return sum(index.table.nbytes for index in self._kept.values())


def _read(lookup: RowLookup, progress: Progress) -> pa.Table:
    schema = lookup.schema()
    columns = light_columns(schema)
    light = pa.schema([schema.field(name) for name in columns])
    if not lookup.files:
        return light.empty_table()
    ended = [FINISH] if _has_finish_reasons(schema) else []
    tables = [_with_truncated(table) for table in _each(lookup, [*columns, *ended], progress)]
    return pa.concat_tables(tables).combine_chunks()


def _has_finish_reasons(schema: pa.Schema) -> bool:
    place = schema.get_field_index("provenance")
    kind = schema.field(place).type if place >= 0 else None
    return kind is not None and pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)


def _with_truncated(table: pa.Table) -> pa.Table:
    """The table with a column that says which rows hold a message that was cut off."""
    if "provenance" not in table.column_names:
        return table
    messages = table["provenance"].combine_chunks()
    cut = pc.equal(pc.struct_field(pc.list_flatten(messages), "finish_reason"), "length")
    rows = pc.list_parent_indices(messages).filter(pc.fill_null(cut, False))
    mask = np.zeros(len(messages), dtype=bool)
    mask[rows.to_numpy(zero_copy_only=False)] = True
    return table.drop_columns(["provenance"]).append_column("truncated", pa.array(mask))


def _each(lookup: RowLookup, columns: Sequence[str], progress: Progress) -> Iterator[pa.Table]:
    total = len(lookup.files)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda number: lookup.file_table(number, columns), range(total))
        for done, table in enumerate(found, start=1):
            yield table
            progress(done, total)


def _values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values to count: of lists what is in them, and a null for each that is empty."""
    if not pa.types.is_list(column.type):
        return column
    empty = pc.sum(pc.equal(_lengths(column), 0)).as_py() or 0
    none = pa.nulls(empty, column.type.value_type)
    return pa.chunked_array([*pc.list_flatten(column).chunks, none], column.type.value_type)


def _having(column: pa.ChunkedArray, value: str) -> pa.ChunkedArray:
    """Which lists hold the value; for ``ABSENT`` which are empty."""
    if value == ABSENT:
        return pc.equal(_lengths(column), 0)
    whole = column.combine_chunks()
    rows = pc.list_parent_indices(whole).filter(pc.equal(pc.list_flatten(whole), value))
    positions = pa.array(range(len(whole)), pa.int64())
    return pa.chunked_array([pc.is_in(positions, value_set=rows.cast(pa.int64()))])


def _lengths(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.list_value_length(column), 0)


def _both(mask: pa.ChunkedArray | None, more: pa.ChunkedArray) -> pa.ChunkedArray:
    return more if mask is None else pc.and_kleene(mask, more)


def _shown(value: object) -> str:
    return ABSENT if value is None else str(value)
