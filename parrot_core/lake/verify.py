"""Check published versions: every file is there, is what was written, and nothing else is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from parrot_core.errors import AccountingError, StorageError
from parrot_core.lake.lake import Lake, version_folder
from parrot_core.lake.manifest import FileEntry, Manifest
from parrot_core.lake.storage import Storage

Fault = Literal["missing", "damaged", "extra", "accounts"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as the manifest says."""

    fault: Fault
    version: str  # name@version
    path: str  # as a person would write it
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.fault}" + (f" ({self.detail})" if self.detail else "")


def verify_version(
    lake: Lake, manifest: Manifest, progress: Callable[[int], None] = lambda _: None
) -> list[Problem]:
    """Everything that is wrong with one version.

    An extra file counts: a reader that takes the whole folder reads its rows. What an attempt
    left that did not win is removed by ``collect``.

    Args:
        progress: told the bytes of each file when it has been read.
    """
    storage = lake.storage
    folder = version_folder(manifest.kind, manifest.name, manifest.version)
    label = f"{manifest.name}@{manifest.version}"
    there = set(storage.list(folder)) - {f"{folder}/manifest.json"}
    found = [Problem("accounts", label, label, why) for why in _accounts(label, manifest)]
    for entry in (*manifest.files, *manifest.reject_files):
        path = f"{folder}/{entry.path}"
        fault, detail = _check(storage, path, entry)
        if fault is not None:
            found.append(Problem(fault, label, storage.show(path), detail))
        there.discard(path)
        progress(entry.bytes)
    why = "named by no manifest; `parrot gc` removes what attempts left"
    found += [Problem("extra", label, storage.show(path), why) for path in sorted(there)]
    return found


def manifests(lake: Lake) -> tuple[list[Manifest], list[Problem]]:
    """All published versions, and those whose manifest itself can't be read any more."""
    read: list[Manifest] = []
    unreadable: list[Problem] = []
    for kind, name, version in lake.published_names():
        try:
            read.append(lake.manifest(kind, name, version))
        except StorageError as error:
            place = lake.storage.show(f"{version_folder(kind, name, version)}/manifest.json")
            unreadable.append(Problem("damaged", f"{name}@{version}", place, str(error)))
    return read, unreadable


def _check(storage: Storage, path: str, entry: FileEntry) -> tuple[Fault | None, str]:
    try:
        found = storage.sha256(path)
    except FileNotFoundError:
        return "missing", ""
    if found != entry.sha256:
        return "damaged", f"expected SHA-256 {entry.sha256}, found {found}"
    return None, ""


def _accounts(label: str, manifest: Manifest) -> Sequence[str]:
    """Units in are rows out plus rejects, and the files hold as many rows as they should."""
    accounts = manifest.accounting
    wrong = []
    try:
        accounts.close(label)
    except AccountingError as error:
        wrong.append(str(error))
    for what, entries, rows in (
        ("files", manifest.files, accounts.rows_out),
        ("rejects", manifest.reject_files, accounts.rows_rejected),
    ):
        written = sum(entry.rows for entry in entries)
        if written != rows:
            wrong.append(f"its {what} hold {written} rows, its accounts say {rows}")
    return wrong
