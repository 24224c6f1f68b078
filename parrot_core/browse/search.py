"""Looks for a text in all rows of a version: text columns only, a row group in memory at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from parrot_core.browse.index import TEXTS
from parrot_core.browse.query import SearchQuery
from parrot_core.lake.row_lookup import RowLookup

MOST_HITS = 20_000
"""A search ends there: whoever wants more wants another text."""

Going = Callable[[int, int, int], bool]
"""Called with files read, files in all and hits so far; False ends the search."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found."""

    positions: tuple[int, ...]
    files_read: int
    files: int

    @property
    def complete(self) -> bool:
        return self.files_read == self.files


def text_columns(schema: pa.Schema) -> list[str]:
    """Columns that hold texts: messages, and the long strings."""
    return [each.name for each in schema if each.name in TEXTS or _is_messages(each.type)]


def search(
    lookup: RowLookup, query: SearchQuery, going: Going = lambda *_: True, most: int = MOST_HITS
) -> SearchResult:
    """Rows in which all terms of ``query`` occur, each somewhere in the row's texts.

    Args:
        query: what to look for; without a term nothing is found.
        going: told the progress; it can end the search.
    """
    columns = [c for c in text_columns(lookup.schema()) if c != "request_key"]
    hits: list[int] = []
    for number in range(len(lookup.files)):
        if len(hits) >= most or not going(number, len(lookup.files), len(hits)):
            return SearchResult(tuple(hits[:most]), number, len(lookup.files))
        for first, table in lookup.groups(number, columns):
            hits += [first + row for row in _rows_with(table, query)]
    return SearchResult(tuple(hits[:most]), len(lookup.files), len(lookup.files))


def _rows_with(table: pa.Table, query: SearchQuery) -> Sequence[int]:
    wholes = [column.combine_chunks() for column in table.columns]
    left: set[int] | None = None
    for term in query.terms:
        rows: set[int] = set()
        for whole in wholes:
            if _is_messages(whole.type):
                contents = pc.struct_field(pc.list_flatten(whole), "content")
                found = pc.list_parent_indices(whole).filter(term.mask(contents))
            else:
                found = pc.indices_nonzero(term.mask(whole))
            rows |= set(found.to_pylist())
        left = rows if left is None else left & rows
        if not left:
            break
    return sorted(left or ())


def _is_messages(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        and pa.types.is_struct(kind.value_type)
        and kind.value_type.get_field_index("content") >= 0
    )
