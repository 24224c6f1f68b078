"""Statistics of versions, kept beside them: worked out once, read by report and dashboard.

They lie outside the version's folder, which may hold only what its manifest names, under a
fingerprint of everything that they rest on; a new definition makes a new file.
"""

from typing import Any

from parrot_core.lake.storage import Storage, to_json

FOLDER = "statistics"


def read_kept(storage: Storage, name: str, version: str, fingerprint: str) -> dict[str, Any] | None:
    """What was kept under this fingerprint, if anything was."""
    try:
        return storage.read_json(_path(name, version, fingerprint))
    except FileNotFoundError:
        return None


def keep(
    storage: Storage, name: str, version: str, fingerprint: str, value: dict[str, Any]
) -> None:
    """Keep statistics, unless another process was first: theirs are the same."""
    storage.put_if_absent(_path(name, version, fingerprint), to_json(value))


def _path(name: str, version: str, fingerprint: str) -> str:
    return f"{FOLDER}/{name}/{version}/{fingerprint[:32]}.json"


def all_kept(storage: Storage, name: str, version: str) -> list[dict[str, Any]]:
    """Whatever was kept of a version, in no particular order."""
    paths = storage.list(f"{FOLDER}/{name}/{version}")
    return [value for value in storage.read_jsons(paths) if value is not None]
