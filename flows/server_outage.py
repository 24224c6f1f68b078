"""How long Prefect's clients retry an unreachable server, and what doesn't wait for it."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from parrot_core.errors import ParrotError

PATIENCE: Mapping[str, str] = {
    # The waits between tries double from 2 s: 7 of them last four minutes, 5 (the default) one.
    "PREFECT_CLIENT_MAX_RETRIES": "7",
    # What the server says while nothing listens at its PostgreSQL's address.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
}
"""Settings of whatever has work in hand: workers, and the processes of flows."""

HEARTBEAT: Mapping[str, str] = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
"""Prefect's default of 180 s leaves one that is late no second chance."""

SILENT_S = 300
"""A flow run whose heartbeat is silent for so long has lost its process. No less than a server and
its database may be away: a run that goes on meanwhile isn't lost, and none of its heartbeats come
through."""

Written = TypeVar("Written")


def tried(write: Callable[[], Written], patient: bool = True) -> Written | None:
    """Do something for whoever watches, without which a run goes on: None if it couldn't be done.

    Args:
        write: e.g. writes an artifact.
        patient: try for as long as any other request; else once.
    """
    import httpx  # Prefect reads its settings when it is imported
    from prefect import get_run_logger
    from prefect.exceptions import PrefectException
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    try:
        with temporary_settings({} if patient else {PREFECT_CLIENT_MAX_RETRIES: 0}):
            return write()
    except (httpx.HTTPError, PrefectException, ParrotError, OSError) as error:
        first = str(error).partition("\n")[0]
        get_run_logger().warning("left out: %s: %s", type(error).__name__, first)
        return None
