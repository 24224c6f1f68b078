"""Counts the HTTP requests of one S3 file system, retries included, by operation."""

import threading
from collections import Counter
from typing import Any

_EVENT = "before-send.s3"
"""What botocore tells before each attempt; the operation's name follows after a dot."""


class RequestCounter:
    """The requests of one file system. Thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def counts(self) -> Counter[str]:
        """Requests so far by operation, such as ``GetObject``."""
        with self._lock:
            return self._counts.copy()

    def count(self, event_name: str, **_: object) -> None:
        """Count one request; botocore calls this."""
        with self._lock:
            self._counts[event_name.rsplit(".", 1)[-1]] += 1


def counter_of(fs: Any) -> RequestCounter:
    """The counter of an s3fs file system; fsspec gives all storages of a bucket the same one."""
    found = getattr(fs, "parrot_requests", None)
    if isinstance(found, RequestCounter):
        return found
    from aiobotocore.session import AioSession

    counter = RequestCounter()
    if fs.session is None:  # s3fs would make this very one at its first use
        fs.session = AioSession(**fs.kwargs)
    fs.session.register(_EVENT, counter.count)
    fs.parrot_requests = counter
    return counter
