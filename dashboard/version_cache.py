"""Published versions at hand: manifests and light columns are read once; they never change."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parrot_core.browse.index import Index, Indexes, RowFilter, nothing_told
from parrot_core.browse.lineage import Ancestor, lineage
from parrot_core.browse.search import SearchResult, search
from parrot_core.errors import ParrotError
from parrot_core.lake.lake import Kind, Lake
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.reviews import Reviews
from parrot_core.lake.row_lookup import Part, Row, RowLookup


@dataclass(frozen=True, slots=True)
class VersionPart:
    """One part of one version."""

    dataset: str
    version: str
    part: Part = "rows"


class VersionCache:
    """Reads versions for the pages. Called from threads."""

    def __init__(self, lake: Lake) -> None:
        """Nothing is read yet."""
        self._lake = lake
        self._manifests: dict[tuple[Kind, str, str], Manifest] = {}
        self._columns: dict[str, list[str]] = {}
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
        return self.indexes.of(self.lookup(place), progress)

    def positions(
        self,
        place: VersionPart,
        wanted: RowFilter,
        text: str,
        going: Callable[[int, int, int], bool] = lambda *_: True,
    ) -> tuple[Sequence[int], SearchResult | None]:
        """Rows that a reader asked for, and how the search for the text went."""
        if not text:
            if not wanted:
                return range(len(self.lookup(place))), None
            return self.index(place).matching(wanted), None
        found = search(self.lookup(place), text, going)
        if not wanted:
            return found.positions, found
        fitting = set(self.index(place).matching(wanted))
        return [position for position in found.positions if position in fitting], found

    def lineage(self, place: VersionPart, row: Row) -> tuple[Ancestor, ...]:
        """Where a row came from, nearest first."""
        manifest = self.manifest("dataset", place.dataset, place.version)
        return lineage(self._lake, self.indexes, manifest, row["source_ids"])

    def reviews(self, place: VersionPart) -> Reviews:
        """The marks on a version."""
        return Reviews(self._lake.storage, place.dataset, place.version)

    def _known_or_published(self, kind: Kind, name: str, version: str) -> bool:
        known = (kind, name, version) in self._manifests
        return known or self._lake.published(kind, name, version)
