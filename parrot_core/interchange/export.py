"""Export a version: its rows in a format of others, with a record of what it is, whole or not."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parrot_core.analysis.statistics.reading import WITH_SESSIONS
from parrot_core.analysis.statistics.versions import statistics_of
from parrot_core.errors import UserError
from parrot_core.interchange.card import CARD, card
from parrot_core.interchange.formats import FORMATS, Format, Written
from parrot_core.interchange.hub import HubRepository, repository_of
from parrot_core.interchange.lineage import Lineage, as_json, lineage_of
from parrot_core.lake.lake import DatasetVersion, Lake
from parrot_core.lake.storage import Storage, to_json
from parrot_core.lake.whole_folder import MARKER, whole_folder
from parrot_core.telemetry.progress import SILENT, Progress, ProgressReporter


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and where."""

    version: str  # name@version
    format: str
    url: str
    files: tuple[Written, ...]
    bytes: int

    @property
    def rows(self) -> int:
        """Rows in all files; as many as the version has."""
        return sum(file.rows for file in self.files)

    def to_json(self) -> dict[str, Any]:
        files = [{"path": f.path, "split": f.split, "rows": f.rows} for f in self.files]
        return {
            "version": self.version,
            "format": self.format,
            "url": self.url,
            "rows": self.rows,
            "bytes": self.bytes,
            "files": files,
        }


def export(
    lake: Lake,
    version: DatasetVersion,
    to: str,
    format: str,
    *,
    force: bool = False,
    public: bool = False,
    progress: Progress = lambda _: None,
    reporter: ProgressReporter = SILENT,
) -> Exported:
    """Write a version to a folder, a URL or the hub; it appears there whole or not at all.

    Args:
        version: what to write; its files are verified as they are read.
        to: a local path, an fsspec URL outside the lake, or ``hf://datasets/ORG/NAME``.
        format: one of ``FORMATS``.
        force: replace what an earlier export wrote there; on the hub also what others wrote.
        public: whether a repository of the hub may be read by everybody.
        progress: told the rows written.

    Raises:
        UserError: no such format, one that can't hold these rows, or a place that isn't free.
        CorruptFile: a file of the version differs from its manifest.
        StorageError: it can't be read or written.
    """
    chosen = _format_of(version, format)
    manifest = version.manifest
    name = f"{manifest.name}@{manifest.version}"
    repository = repository_of(to)
    if repository is None:
        _outside(lake, to)
    elif format != "hf":
        raise UserError(f"--format {format}: expected hf for a dataset of the hub")
    lineage = lineage_of(lake, manifest)
    hub = None if repository is None else HubRepository(repository, public=public, force=force)
    with _place(to, name, hub, force=force) as folder:
        files = chosen.write(version, folder, progress)
        _all_rows(version, files)
        if format == "hf":
            text = _card(lake, version, files, lineage, reporter)
            (folder / CARD).write_text(text, encoding="utf-8")
        marker = {
            "version": name,
            "commit_id": manifest.commit_id,
            "format": format,
            "files": [str(p.relative_to(folder)) for p in sorted(folder.rglob("*")) if p.is_file()],
            "rows": [_entry(folder, file) for file in files],
            "lineage": as_json(lineage.manifests),
        }
        (folder / MARKER).write_bytes(to_json(marker))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    place = Storage(to).show("").rstrip("/") if hub is None else hub.url
    return Exported(name, format, place, tuple(files), size)


@contextmanager
def _place(to: str, name: str, hub: HubRepository | None, *, force: bool) -> Iterator[Path]:
    """A local folder to write to; what is in it is at ``to`` when the block has ended."""
    if hub is None:
        with whole_folder(to, force=force) as folder:
            yield folder
        return
    hub.prepare()
    with tempfile.TemporaryDirectory(prefix="parrot-export-") as scratch:
        yield Path(scratch)
        hub.publish(Path(scratch), f"Publish {name}")


def _format_of(version: DatasetVersion, format: str) -> Format:
    chosen = FORMATS.get(format)
    if chosen is None:
        raise UserError(f"--format {format}: expected one of {', '.join(FORMATS)}")
    dataset = version.manifest.name
    if not chosen.takes(dataset):
        fitting = [name for name, each in FORMATS.items() if each.takes(dataset)]
        raise UserError(
            f"'{dataset}' can't be written as {chosen.description}; "
            f"expected --format {' or '.join(fitting)}"
        )
    return chosen


def _outside(lake: Lake, to: str) -> None:
    """Refuse a place inside the lake, whose folders hold only what manifests name."""
    target, root = Storage(to), lake.storage
    if (target.local_root is None) != (root.local_root is None):
        return
    place, home = target.full(""), root.full("")
    if place == home or place.startswith(f"{home}/") or home.startswith(f"{place}/"):
        raise UserError(f"{to}: lies in the lake, or the lake in it; name a folder outside")


def _all_rows(version: DatasetVersion, files: list[Written]) -> None:
    """The accounts of an export: as many rows as the version has, not one left out."""
    expected = sum(entry.rows for entry in version.manifest.files)
    written = sum(file.rows for file in files)
    if written != expected:
        raise AssertionError(f"{version.url}: {expected} rows, but {written} were written")


def _entry(folder: Path, file: Written) -> dict[str, Any]:
    path = folder / file.path
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {
        "path": file.path,
        "split": file.split,
        "rows": file.rows,
        "bytes": path.stat().st_size,
        "sha256": digest,
    }


def _card(
    lake: Lake,
    version: DatasetVersion,
    files: list[Written],
    lineage: Lineage,
    reporter: ProgressReporter,
) -> str:
    manifest = version.manifest
    statistics = None
    if manifest.name in WITH_SESSIONS and manifest.accounting.rows_out:
        name = f"{manifest.name}@{manifest.version}"
        statistics = statistics_of(lake, name, reporter=reporter)
    languages = Counter(row["language"] for row in version.rows(["language"]) if row["language"])
    ordered = [code for code, _ in languages.most_common()]
    return card(manifest, files, lineage, ordered, statistics)
