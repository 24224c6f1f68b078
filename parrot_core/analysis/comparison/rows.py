"""Which rows two versions of a dataset share, by id, and in which columns the others differ.

Contents are never held: each row becomes its id and one hash a column, on local disk, and a part
of the ids at a time is compared. Memory is bounded by a row group, or by ``ROWS_AT_ONCE`` rows.
"""

import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from parrot_core.lake.lake import DatasetVersion
from parrot_core.stages.ingest.rules import hide_people

ROWS_AT_ONCE = 2_000_000
"""Rows of one version whose hashes are compared at a time."""

EXAMPLES = 3
"""Rows of each kind that are named or shown."""

_EXCERPT = 200
_CONTEXT = 24
_SIDE = ":b"


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row whose id both versions have: the first column that differs, from the place it does."""

    id: str
    column: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RowsDifference:
    """Rows by what became of them; ``columns`` counts the changed rows that differ in each."""

    same: int
    changed: int = 0
    added: int = 0
    removed: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    added_ids: tuple[str, ...] = ()
    removed_ids: tuple[str, ...] = ()
    changed_ids: tuple[str, ...] = ()
    examples: tuple[ChangedRow, ...] = ()
    repeated: tuple[int, int] = (0, 0)  # rows of either version whose id came before in it

    @property
    def empty(self) -> bool:
        """Whether both versions hold the same rows."""
        return not (self.changed or self.added or self.removed) and (
            self.repeated[0] == self.repeated[1]
        )


def compare_rows(
    a: DatasetVersion,
    b: DatasetVersion,
    *,
    at_once: int = ROWS_AT_ONCE,
    named: int = EXAMPLES,
) -> RowsDifference:
    """Compare two versions row by row; what only ``b`` has counts as added.

    At most ``named`` rows of each kind are given by their id.

    Contents are compared by 64-bit hashes of their JSON: that any of a million changed rows goes
    unseen has odds of one in ten million million. A column that one version lacks is null there.

    Raises:
        StorageError: a file of a version is gone, or differs from its manifest.
    """
    if content_of(a) == content_of(b):
        return RowsDifference(same=a.manifest.accounting.rows_out)
    with tempfile.TemporaryDirectory(prefix="parrot-diff-") as scratch:
        left, right = Path(scratch) / "a.parquet", Path(scratch) / "b.parquet"
        names_a, names_b = _digest(a, left), _digest(b, right)
        columns = tuple(dict.fromkeys([*names_a, *names_b]))
        rows = max(v.manifest.accounting.rows_out for v in (a, b))
        count = max(1, math.ceil(rows / at_once))
        parts = [
            _compare(
                _side(left, columns, p, count), _side(right, columns, p, count), columns, named
            )
            for p in range(count)
        ]
    first = sorted(pair for part in parts for pair in part.first_changed)[:named]
    return RowsDifference(
        same=sum(part.same for part in parts),
        changed=sum(part.changed for part in parts),
        added=sum(part.added for part in parts),
        removed=sum(part.removed for part in parts),
        columns=_sums(part.columns for part in parts),
        added_ids=tuple(sorted(id for part in parts for id in part.first_added)[:named]),
        removed_ids=tuple(sorted(id for part in parts for id in part.first_removed)[:named]),
        changed_ids=tuple(id for id, _ in first),
        examples=_examples(a, b, first[:EXAMPLES]),
        repeated=(sum(p.repeated[0] for p in parts), sum(p.repeated[1] for p in parts)),
    )


def content_of(version: DatasetVersion) -> list[str]:
    """The checksums of a version's files: equal ones hold equal rows, without a look at them."""
    return [entry.sha256 for entry in version.manifest.files]


@dataclass(frozen=True, slots=True)
class _Part:
    same: int
    changed: int
    added: int
    removed: int
    columns: Mapping[str, int]
    first_added: Sequence[str]
    first_removed: Sequence[str]
    first_changed: Sequence[tuple[str, str]]  # (id, column)
    repeated: tuple[int, int]


def _digest(version: DatasetVersion, target: Path) -> tuple[str, ...]:
    """Write id and hashes of all rows to a local file; the columns that were hashed."""
    writer: pq.ParquetWriter | None = None
    names: tuple[str, ...] = ()
    try:
        for table in version.groups():
            frame = pl.from_arrow(table)
            assert isinstance(frame, pl.DataFrame)
            names = tuple(name for name in frame.columns if name != "id")
            hashed = frame.select("id", *(_hash(name) for name in names)).to_arrow()
            writer = writer or pq.ParquetWriter(target, hashed.schema)
            writer.write_table(hashed)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        pq.write_table(pa.table({"id": pa.array([], pa.large_string())}), target)
    return names


def _hash(name: str) -> pl.Expr:
    return pl.struct(pl.col(name).alias("v")).struct.json_encode().hash(0).alias(name)


def _side(path: Path, columns: Sequence[str], part: int, parts: int) -> tuple[pl.DataFrame, int]:
    """The rows of one part of all ids, one an id, and how many rows more there are."""
    scan = pl.scan_parquet(path)
    held = scan.collect_schema().names()
    nothing = pl.lit('{"v":null}').hash(0)
    frame = (
        scan.filter(pl.col("id").hash(0) % parts == part)
        .with_columns(nothing.alias(name) for name in columns if name not in held)
        .select(pl.col("id").cast(pl.String), *columns)
        .collect(engine="streaming")
    )
    once = frame.unique("id", keep="first", maintain_order=True)
    return once, frame.height - once.height


def _compare(
    a: tuple[pl.DataFrame, int], b: tuple[pl.DataFrame, int], columns: Sequence[str], named: int
) -> _Part:
    both = a[0].join(b[0], on="id", suffix=_SIDE)
    differ = both.select(
        "id", *((pl.col(name) != pl.col(name + _SIDE)).alias(name) for name in columns)
    )
    changed = differ.filter(pl.any_horizontal(columns)) if columns else differ.clear()
    added = b[0].join(a[0], on="id", how="anti").get_column("id")
    removed = a[0].join(b[0], on="id", how="anti").get_column("id")
    firsts = changed.sort("id").head(named).iter_rows(named=True)
    return _Part(
        same=both.height - changed.height,
        changed=changed.height,
        added=added.len(),
        removed=removed.len(),
        columns={name: int(changed.get_column(name).sum()) for name in columns},
        first_added=added.sort().head(named).to_list(),
        first_removed=removed.sort().head(named).to_list(),
        first_changed=[(row["id"], _telling(row, columns)) for row in firsts],
        repeated=(a[1], b[1]),
    )


def _telling(row: Mapping[str, object], columns: Sequence[str]) -> str:
    """Of the columns that differ the one that says most: a text before what it was made from."""
    differ = [name for name in columns if row[name]]
    dull = ("source_ids", "provenance", "request_key")
    return next((name for name in differ if name not in dull), differ[0])


def _sums(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    found = {name: count for name, count in total.items() if count}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _examples(
    a: DatasetVersion, b: DatasetVersion, wanted: Sequence[tuple[str, str]]
) -> tuple[ChangedRow, ...]:
    if not wanted:
        return ()
    before, after = (_rows(version, [id for id, _ in wanted]) for version in (a, b))
    return tuple(
        ChangedRow(id, column, *excerpts(before[id].get(column), after[id].get(column)))
        for id, column in wanted
    )


def _rows(version: DatasetVersion, ids: Sequence[str]) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for table in version.groups():
        held = table.filter(pc.is_in(table.column("id"), value_set=pa.array(ids, pa.string())))
        for row in held.to_pylist():
            found.setdefault(row["id"], row)
        if len(found) == len(ids):
            break
    return found


def excerpts(before: object, after: object) -> tuple[str, str]:
    """Both values as text, people hidden, from shortly before the first place where they part."""
    texts = [_text(value) for value in (before, after)]
    shorter = min(map(len, texts))
    place = next((i for i in range(shorter) if texts[0][i] != texts[1][i]), shorter)
    start = max(0, place - _CONTEXT)
    cut = [("…" if start else "") + text[start : start + _EXCERPT] for text in texts]
    more = ["…" if len(text) > start + _EXCERPT else "" for text in texts]
    return hide_people(cut[0]) + more[0], hide_people(cut[1]) + more[1]


def _text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, list) and value and isinstance(value[0], dict) and "content" in value[0]:
        return "\n".join(f"{each['role']}: {each['content']}" for each in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
