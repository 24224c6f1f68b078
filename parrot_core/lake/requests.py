"""Counts the requests that a lake on S3 takes, so that a run's bill can be stated."""

import logging
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from parrot_core.errors import StorageError
from parrot_core.lake.storage import Storage, to_json

logger = logging.getLogger(__name__)

FREE = frozenset(
    {"DeleteObject", "DeleteObjects", "AbortMultipartUpload"},
)
READS = frozenset({"GetObject", "HeadObject", "HeadBucket"})
"""Billed as reads; all else but ``FREE``, listings among it, is billed as writes."""


def bill(counts: Mapping[str, int], per_1000_writes: float, per_1000_reads: float) -> float:
    """Dollars for requests: those of ``READS`` at one price, the others at the other.

    Storage by the month and traffic out of the region come on top.
    """
    reads = sum(count for name, count in counts.items() if name in READS)
    free = sum(count for name, count in counts.items() if name in FREE)
    writes = sum(counts.values()) - reads - free
    return (writes * per_1000_writes + reads * per_1000_reads) / 1000


@contextmanager
def counted(storage: Storage, run: str, stage: str) -> Iterator[None]:
    """Keep with the run how many requests this process makes while the block runs.

    A process that is killed leaves no count, and stages that share a process at the same time
    would share their requests; neither happens in a flow that ends.
    """
    before = storage.requests()
    try:
        yield
    finally:
        made = Counter(storage.requests())
        made.subtract(before)
        if counts := {name: count for name, count in sorted(made.items()) if count}:
            path = f"{_folder(run)}/{stage}-{uuid.uuid4().hex[:12]}.json"
            try:
                storage.write_bytes(path, to_json({"stage": stage, "requests": counts}))
            except StorageError as error:  # what ended the block matters more
                logger.warning("requests of '%s' not recorded: %s", stage, error)


def requests_of(storage: Storage, run: str) -> dict[str, Counter[str]]:
    """Requests of a run by stage, then by S3's name of the operation; empty on a local disk."""
    found: dict[str, Counter[str]] = {}
    for record in storage.read_jsons(storage.list(_folder(run))):
        if record is not None:
            found.setdefault(str(record["stage"]), Counter()).update(record["requests"])
    return found


def _folder(run: str) -> str:
    return f"runs/{run}/requests"
