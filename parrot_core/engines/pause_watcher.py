"""Stops new requests of a stage's engines while its run is paused; open ones are finished.

The pause is a record in the lake (``lake/pauses``), read every few seconds by a thread of its own,
so that requests never wait for the lake.
"""

import logging
from collections.abc import Callable

from parrot_core.errors import StorageError
from parrot_core.lake.pauses import PauseRecord, Pauses
from parrot_core.telemetry.repeated_call import RepeatedCall

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0


class PauseWatcher:
    """Watches a run's pause and tells the engines of each change."""

    def __init__(
        self, pauses: Pauses, tell: Callable[[str], None], every_s: float = LOOK_EVERY_S
    ) -> None:
        """``tell`` gets why the engines are held, or an empty text when they may go on."""
        self._pauses = pauses
        self._tell = tell
        self._held = ""
        self._looks = RepeatedCall("parrot-holding", self._look, every_s)

    def start(self) -> None:
        """Look once, then keep looking.

        Raises:
            StorageError: the lake can't be reached.
        """
        self._note(self._pauses.read())
        self._looks.start()

    def stop(self) -> None:
        self._looks.stop()

    def _look(self) -> None:
        try:
            self._note(self._pauses.read())
        except (OSError, StorageError) as error:  # a pause that stood stands
            logger.warning("the run's pause could not be read: %s", error)

    def _note(self, record: PauseRecord | None) -> None:
        held = str(record) if record is not None else ""
        if held != self._held:
            self._held = held
            self._tell(held)
