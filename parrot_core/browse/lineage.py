"""Follows a row back through the versions it came from, to the record of the source."""

from collections.abc import Callable
from dataclasses import dataclass

from parrot_core.browse.index import Indexes
from parrot_core.lake.lake import Lake
from parrot_core.lake.lineage import parent_datasets
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.row_lookup import RowLookup

DEEPEST = 12
"""More versions than any pipeline has between a row and its source."""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One step back: a row of an earlier version, or a record of a source outside the lake."""

    id: str
    dataset: str = ""  # empty: the source itself
    version: str = ""
    position: int | None = None  # of the row in its version; None where it can't be found
    topic: str = ""  # where that version tells any


def lineage(
    lake: Lake, indexes: Indexes, manifest: Manifest, source_ids: list[str]
) -> tuple[Ancestor, ...]:
    """The rows a row came from, nearest first, depth first, each once."""
    steps: list[Ancestor] = []
    _follow(lake, indexes, manifest, source_ids, steps.append, set(), 0)
    return tuple(steps)


def _follow(
    lake: Lake,
    indexes: Indexes,
    manifest: Manifest,
    source_ids: list[str],
    tell: Callable[[Ancestor], None],
    seen: set[tuple[str, str]],
    depth: int,
) -> None:
    inputs = list(parent_datasets(lake, manifest))
    for row_id in source_ids:
        if (manifest.name, row_id) in seen or depth > DEEPEST:
            continue
        seen.add((manifest.name, row_id))
        for parent in inputs:
            lookup = RowLookup(lake.storage, parent)
            index = indexes.of(lookup)
            position = index.find(row_id)
            if position is not None:
                topic = index.text("topic", position)
                tell(Ancestor(row_id, parent.name, parent.version, position, topic))
                (row,) = lookup.read([position], ["source_ids"])
                _follow(lake, indexes, parent, row["source_ids"], tell, seen, depth + 1)
                break
        else:
            tell(Ancestor(row_id))
