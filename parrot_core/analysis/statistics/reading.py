"""Where sessions come from: a version in the lake, or any file, folder or URL that ingest reads."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from parrot_core.analysis.statistics.session import Session, session_of
from parrot_core.errors import SourceError, UserError
from parrot_core.lake.lake import DatasetVersion, Lake
from parrot_core.lake.lineage import parent_datasets
from parrot_core.lake.manifest import Manifest
from parrot_core.recipe import Ingest
from parrot_core.schemas import DATASETS
from parrot_core.stages.ingest.clean import CleanSession, Rejection, clean
from parrot_core.stages.ingest.language import FastTextDetector, session_language
from parrot_core.stages.ingest.layouts import Misfit
from parrot_core.stages.ingest.locating import expand_sources
from parrot_core.stages.ingest.sources import OpenSource, SourceRecord, readable_documents
from parrot_core.telemetry.progress import Progress

WITH_SESSIONS = tuple(name for name, schema in DATASETS.items() if "n_turns" in schema.arrow.names)
HUMAN = "conversations"
HELDOUT = "heldout"
LONGEST_MESSAGE = 10_000_000


class SessionSet(Protocol):
    """A set of sessions that can be read again and again."""

    @property
    def label(self) -> str: ...

    @property
    def total(self) -> int | None:
        """Rows or bytes to read, whatever ``sessions`` reports to its progress."""
        ...

    @property
    def identity(self) -> str | None:
        """Changes whenever the content does; None where only reading would tell."""
        ...

    def sessions(self, progress: Progress) -> Iterator[Session]:
        """All sessions, in one pass, memory flat; ``progress`` is told in the unit of ``total``."""
        ...

    def left_out(self) -> dict[str, int]:
        """Records of the last pass that gave no session, by reason."""
        ...

    def warnings(self) -> tuple[str, ...]:
        """What the last pass has to say: damage, mended characters."""
        ...


class VersionSessions:
    """Sessions of a published version, of one split or of all but one if asked."""

    def __init__(
        self, version: DatasetVersion, split: str | None = None, without: str | None = None
    ) -> None:
        manifest = version.manifest
        self.manifest = manifest
        self.split = split
        self.total = sum(entry.rows for entry in manifest.files)
        self.identity = f"{manifest.commit_id}/{split or ''}/{without or ''}"
        self.label = f"{manifest.name}@{manifest.version}" + (f":{split}" if split else "")
        self._version = version
        self._without = without

    def sessions(self, progress: Progress) -> Iterator[Session]:
        """All sessions; files are verified against their checksums."""
        by_split = self.split is not None or self._without is not None
        grouped = "group" in DATASETS[self.manifest.name].arrow.names
        wanted = {"split": by_split, "group": grouped}
        columns = ["id", "language", "messages", *(name for name, want in wanted.items() if want)]
        for row in self._version.rows(columns):
            progress(1)
            if self.split not in (None, row.get("split")):
                continue
            if self._without is not None and row["split"] == self._without:
                continue
            yield session_of(row["id"], row["language"], row["messages"], row.get("group"))

    def left_out(self) -> dict[str, int]:
        """Nothing: what a stage rejected is in the manifest."""
        return {}

    def warnings(self) -> tuple[str, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class _Pass:
    left_out: Counter[str]
    warnings: list[str]


class SourceSessions:
    """Sessions of files in any layout that ingest reads, cleaned as ingest cleans them.

    No language and no length is refused; the parts of a split ShareGPT session count each.
    """

    identity = None

    def __init__(self, url: str) -> None:
        """Find the files.

        Raises:
            SourceError: there is none, or none that can be read.
        """
        self.label = url
        self._urls = expand_sources([url])
        self._settings = Ingest(
            sources=(url,),
            languages=(),
            rules=("html_to_markdown", "interface"),
            min_turns=1,
            max_message_chars=LONGEST_MESSAGE,
        )
        self._last = _Pass(Counter(), [])
        self.total = _bytes_of(self._urls)

    def sessions(self, progress: Progress) -> Iterator[Session]:
        self._last = _Pass(Counter(), [])
        detector = FastTextDetector()
        for url in self._urls:
            for document in readable_documents(url, self._last.warnings):
                with document as source:
                    read = 0
                    for record in source:
                        now = source.bytes_read
                        progress(now - read)
                        read = now
                        session = self._session(record, source, detector)
                        if session is not None:
                            yield session
                self._last.warnings.extend(source.warnings)

    def _session(
        self, record: SourceRecord, source: OpenSource, detector: FastTextDetector
    ) -> Session | None:
        outcome: CleanSession | Rejection = Rejection("malformed_record")
        read = Misfit(record.problem) if record.problem else source.read(record.record)
        if not isinstance(read, Misfit):
            outcome = clean(read, self._settings)
        if isinstance(outcome, Rejection):
            self._last.left_out[outcome.reason] += 1
            return None
        guess = session_language(outcome.messages, detector)
        layout = source.layout
        name = layout.record_id(record.record) or f"{source.url}#{record.index}"
        language = guess.code if guess else None
        return session_of(name, language, outcome.messages, layout.session_of(name).base)

    def left_out(self) -> dict[str, int]:
        """Records of the last pass that cleaning refused, by reason."""
        return dict(self._last.left_out.most_common())

    def warnings(self) -> tuple[str, ...]:
        return tuple(self._last.warnings)


def _bytes_of(urls: list[str]) -> int | None:
    """Size of the files together; None where one doesn't say.

    Raises:
        SourceError: none of them can be read.
    """
    faults: list[str] = []
    sizes = []
    for url in urls:
        for document in readable_documents(url, faults):
            with document:
                sizes.append(document.total_bytes)
    if faults and not sizes:
        raise SourceError(faults[0])
    return None if None in sizes else sum(size or 0 for size in sizes)


def open_sessions(lake: Lake, what: str) -> SessionSet:
    """Open ``NAME[@VERSION][:SPLIT]`` of the lake, or a path or URL.

    Raises:
        UserError: the version isn't published, or holds no sessions.
        SourceError: no such file.
    """
    named, _, split = what.partition(":")
    name, _, version = named.partition("@")
    if name in DATASETS and "/" not in what:
        return _open_version(lake, name, version, split or None)
    try:
        return SourceSessions(what)
    except SourceError as error:
        if "/" in what or "." in what:
            raise
        known = ", ".join(WITH_SESSIONS)
        raise UserError(f"{error}; expected one of {known} (NAME[@VERSION]), or a file") from None


def _open_version(lake: Lake, name: str, version: str, split: str | None) -> VersionSessions:
    if name not in WITH_SESSIONS:
        known = ", ".join(WITH_SESSIONS)
        raise UserError(f"'{name}' holds no sessions; expected one of {known}")
    if split is not None and "split" not in DATASETS[name].arrow.names:
        raise UserError(f"'{name}' has no splits; expected {name}@{version or 'VERSION'}")
    if version:
        return VersionSessions(lake.dataset(name, version), split)
    found = next((m for m in lake.versions() if m.name == name and m.kind == "dataset"), None)
    if found is None:
        raise UserError(f"{lake.url}: no version of '{name}' is published")
    return VersionSessions(lake.dataset(name, found.version), split)


def human_reference(lake: Lake, sessions: SessionSet) -> SessionSet | None:
    """Held-out human sessions of the run that a version comes from; None for other sets."""
    if not isinstance(sessions, VersionSessions) or sessions.split == HELDOUT:
        return None
    origin = _origin(lake, sessions.manifest)
    return None if origin is None else VersionSessions(lake.dataset(HUMAN, origin.version), HELDOUT)


def without_heldout(lake: Lake, sessions: SessionSet) -> SessionSet:
    """The set that is told from the held-out one: of conversations, those that aren't held out."""
    if isinstance(sessions, VersionSessions) and sessions.manifest.name == HUMAN:
        version = lake.dataset(HUMAN, sessions.manifest.version)
        return VersionSessions(version, sessions.split, without=HELDOUT)
    return sessions


def _origin(lake: Lake, manifest: Manifest) -> Manifest | None:
    """The conversations that a version was made from, over all stages between."""
    if manifest.name == HUMAN:
        return manifest
    origins = (_origin(lake, parent) for parent in parent_datasets(lake, manifest))
    return next(filter(None, origins), None)


def digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
