"""Published versions at hand: manifests and light columns are read once; they never change."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from dashboard.result_set import ResultSet, VersionPart, Wanted
from parrot_core.browse.index import Index, Indexes, nothing_told
from parrot_core.browse.lengths import CHARS, lengths
from parrot_core.browse.lineage import Ancestor, lineage
from parrot_core.browse.search import search
from parrot_core.errors import ParrotError
from parrot_core.lake.lake import Kind, Lake
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.reviews import Reviews, by_row, verdict_of
from parrot_core.lake.row_lookup import Row, RowLookup

KEPT_SETS = 24
"""Result sets that are remembered: of readers who walk through them row by row."""

MOST_NAMED = 1_000_000
"""Rows that differ from another version's, of each kind: a reader never comes to more."""

FILTERED_BY: Mapping[str, str] = {"dialogues": "parrot"}
"""Datasets that a later one was filtered from: its rejects say why a row went no further."""

FILTER = "filter"


class VersionCache:
    """Reads versions for the pages. Called from threads."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._manifests: dict[tuple[Kind, str, str], Manifest] = {}
        self._columns: dict[str, list[str]] = {}
        self._sets: OrderedDict[str, ResultSet] = OrderedDict()
        self._reviews: dict[tuple[str, str], Reviews] = {}
        self._lock = threading.Lock()
        self.damaged: list[str] = []  # what was wrong with versions that could not be listed
        self.indexes = Indexes()

    def manifest(self, kind: Kind, name: str, version: str) -> Manifest:
        """A version's manifest.

        Raises:
            MissingVersion: there is none.
        """
        key = (kind, name, version)
        found = self._manifests.get(key)
        if found is None:
            found = self._lake.manifest(kind, name, version)
            with self._lock:
                self._manifests[key] = found
        return found

    def versions(self) -> list[Manifest]:
        """All published versions, newest first; one that can't be read hides no other one."""
        found: list[Manifest] = []
        damaged: list[str] = []
        folders: dict[Kind, str] = {"dataset": "datasets", "model": "models"}
        for kind, folder in folders.items():
            for name in self._lake.storage.folders(folder):
                for version in self._lake.storage.folders(f"{folder}/{name}"):
                    try:
                        if self._known_or_published(kind, name, version):
                            found.append(self.manifest(kind, name, version))
                    except ParrotError as error:
                        damaged.append(str(error))
        self.damaged = damaged
        return sorted(found, key=lambda m: (m.created_at, m.name), reverse=True)

    def runs_with(self, place: VersionPart) -> list[str]:
        """Runs whose version of this dataset has such a part with rows in it, newest first."""
        alike = [m for m in self.versions() if m.kind == "dataset" and m.name == place.dataset]
        return [m.version for m in alike if len(RowLookup(self._lake.storage, m, place.part))]

    def lookup(self, place: VersionPart) -> RowLookup:
        """The rows of a version by position; MissingVersion if there is none."""
        manifest = self.manifest("dataset", place.dataset, place.version)
        return RowLookup(self._lake.storage, manifest, place.part)

    def columns(self, place: VersionPart) -> list[str]:
        """Names of a version's columns; read once."""
        lookup = self.lookup(place)
        if lookup.key not in self._columns:
            self._columns[lookup.key] = list(lookup.schema().names)
        return self._columns[lookup.key]

    def index(
        self, place: VersionPart, progress: Callable[[int, int], None] = nothing_told
    ) -> Index:
        """The light columns of a version, read if need be."""
        found = self.indexes.of(self.lookup(place), progress)
        self._with_filter(place, found)
        return found

    def result_set(
        self, wanted: Wanted, going: Callable[[int, int, int], bool] = lambda *_: True
    ) -> ResultSet:
        """The rows that a reader asked for; the same set again costs nothing.

        A set by marks is looked for anew each time: marks change.

        Raises:
            UserError: the search can't be understood, or a filter fits no column.
        """
        if wanted.everything:
            return ResultSet(range(len(self.lookup(wanted.place))))
        key = f"{wanted.key}#{self.lookup(wanted.place).key}"
        with self._lock:
            known = self._sets.get(key)
        if known is not None and not wanted.mark:
            return known
        found = self._find(wanted, going)
        if not wanted.mark and (found.searched is None or found.searched.complete):
            with self._lock:
                self._sets[key] = found
                while len(self._sets) > KEPT_SETS:
                    self._sets.popitem(last=False)
        return found

    def _find(self, wanted: Wanted, going: Callable[[int, int, int], bool]) -> ResultSet:
        positions: Sequence[int] = range(len(self.lookup(wanted.place)))
        if wanted.filter:
            if CHARS in wanted.least or CHARS in wanted.most:
                self.with_lengths(wanted.place)
            positions = self.index(wanted.place).matching(wanted.filter)
        if wanted.differ:
            different = set(self._differing(wanted))
            positions = [position for position in positions if position in different]
        if wanted.mark:
            marked = set(self._marked(wanted))
            positions = [position for position in positions if position in marked]
        searched = None
        if wanted.text:
            searched = search(self.lookup(wanted.place), wanted.query, going)
            pa.default_memory_pool().release_unused()  # texts that were only looked at
            fitting = None if len(positions) == len(self.lookup(wanted.place)) else set(positions)
            hits = searched.positions
            positions = hits if fitting is None else [p for p in hits if p in fitting]
        return ResultSet(wanted.arranged(positions), searched)

    def _marked(self, wanted: Wanted) -> Sequence[int]:
        rows = by_row(self.reviews(wanted.place).marks())
        index = self.index(wanted.place)
        if wanted.mark in ("any", "none"):
            having = index.having_ids(list(rows))
            if wanted.mark == "any":
                return having
            marked = set(having)
            return [position for position in range(index.table.num_rows) if position not in marked]
        return index.having_ids([i for i, said in rows.items() if verdict_of(said) == wanted.mark])

    def _differing(self, wanted: Wanted) -> Sequence[int]:
        """Rows that another version has not, or not like this."""
        from parrot_core.analysis.comparison.rows import compare_rows  # 23 MB, seldom needed

        place = wanted.place
        other = self._lake.dataset(place.dataset, wanted.other)
        found = compare_rows(
            other, self._lake.dataset(place.dataset, place.version), named=MOST_NAMED
        )
        ids = found.added_ids if wanted.differ == "only" else found.changed_ids
        return self.index(place).having_ids(list(ids))

    def with_lengths(self, place: VersionPart) -> Index:
        """The index with the length of each row's texts: reads them all, once."""
        index = self.index(place)
        if CHARS not in index.columns:
            index.add(CHARS, lengths(self.lookup(place)))
            pa.default_memory_pool().release_unused()
        return index

    def _with_filter(self, place: VersionPart, index: Index) -> None:
        """Say of each row why the filter put it aside, where it has been through it."""
        later = FILTERED_BY.get(place.dataset)
        if later is None or place.part != "rows" or FILTER in index.columns:
            return
        try:
            rejects = self.index(VersionPart(later, place.version, "rejects")).table
        except ParrotError:  # not filtered yet
            return
        if not {"id", "reason"} <= set(rejects.column_names):
            return
        reasons = dict(zip(rejects["id"].to_pylist(), rejects["reason"].to_pylist(), strict=True))
        values = [reasons.get(row_id, "kept") for row_id in index.table["id"].to_pylist()]
        index.add(FILTER, pa.array(values, pa.string()))

    def lineage(self, place: VersionPart, row: Row) -> tuple[Ancestor, ...]:
        """Where a row came from, nearest first."""
        manifest = self.manifest("dataset", place.dataset, place.version)
        return lineage(self._lake, self.indexes, manifest, row["source_ids"])

    def reviews(self, place: VersionPart) -> Reviews:
        key = (place.dataset, place.version)
        with self._lock:
            if key not in self._reviews:
                self._reviews[key] = Reviews(self._lake.storage, *key)
            return self._reviews[key]

    def _known_or_published(self, kind: Kind, name: str, version: str) -> bool:
        known = (kind, name, version) in self._manifests
        return known or self._lake.published(kind, name, version)
