"""Where Prefect's pages are, and what it has scheduled next; only if a server is known.

It is asked over HTTP, now and then, and never waited for: the dashboard needs no Prefect.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

ASKED_EVERY_S = 60.0
LOOKED_FOR_EVERY_S = 15.0  # while none answers
PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The next run that Prefect will begin by itself."""

    name: str
    at: datetime


class PrefectLink:
    """A Prefect server, as far as the dashboard shows it. Called from threads."""

    def __init__(
        self,
        api_url: Callable[[], str | None] = lambda: os.environ.get("PREFECT_API_URL"),
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._api_url = api_url
        self._clock = clock
        self._transport = transport
        self._lock = threading.Lock()
        self._until = 0.0
        self._known: tuple[str, Scheduled | None] | None = None

    def look(self) -> tuple[str, Scheduled | None] | None:
        """Address of the pages and the next scheduled run; None while no server answers."""
        with self._lock:
            if self._clock() >= self._until:
                self._known = self._ask()
                asked_again = ASKED_EVERY_S if self._known else LOOKED_FOR_EVERY_S
                self._until = self._clock() + asked_again
            return self._known

    def _ask(self) -> tuple[str, Scheduled | None] | None:
        url = self._api_url()
        if not url:
            return None
        user, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
        auth = (user, password) if user else None
        wanted = {
            "flow_runs": {
                "state": {"type": {"any_": ["SCHEDULED"]}},
                "expected_start_time": {"after_": datetime.now(UTC).isoformat()},
            },
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 1,
        }
        try:
            with httpx.Client(timeout=PATIENCE_S, auth=auth, transport=self._transport) as client:
                answer = client.post(f"{url.rstrip('/')}/flow_runs/filter", json=wanted)
                answer.raise_for_status()
                return url.rstrip("/").removesuffix("/api"), _first(answer.json())
        except (httpx.HTTPError, ValueError, LookupError, TypeError):
            return None


def _first(found: object) -> Scheduled | None:
    if not isinstance(found, list) or not found:
        return None
    at = datetime.fromisoformat(str(found[0]["expected_start_time"]))
    named = found[0].get("parameters", {}).get("run") or found[0]["name"]
    return Scheduled(str(named), at if at.tzinfo else at.replace(tzinfo=UTC))
