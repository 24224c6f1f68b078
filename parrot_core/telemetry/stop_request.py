"""The request that this process stops: a signal, or a run that was cancelled elsewhere.

There is one for the process, as there is one set of signal handlers. Whoever is about to begin
something new asks it first; what is in flight may end.
"""

import threading
from collections.abc import Callable

from parrot_core.errors import RunStopped

GRACE_S = 8.0
"""How long what is in flight may take before it is dropped."""


class StopRequest:
    """Set once; whoever works sees it, and listeners are called when it comes."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self.error = RunStopped("stopped")

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def ask(self, error: RunStopped) -> None:
        """Stop; only the first call counts. Safe in a signal handler."""
        if self._asked.is_set():
            return
        self.error = error
        self._asked.set()
        for listener in tuple(self._listeners):
            listener()

    def check(self) -> None:
        """Raise RunStopped if the process is to stop."""
        if self._asked.is_set():
            raise RunStopped(str(self.error), self.error.exit_code)

    def wait(self, seconds: float) -> None:
        """Sleep, but not through a request to stop.

        Raises:
            RunStopped: the process is to stop.
        """
        self._asked.wait(seconds)
        self.check()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when the request comes; at once if it has come already."""
        with self._lock:
            self._listeners.append(listener)
        if self._asked.is_set():
            listener()

    def unlisten(self, listener: Callable[[], None]) -> None:
        with self._lock:
            self._listeners.remove(listener)

    def reset(self) -> None:
        """Forget the request: for a process that outlives the run that was stopped."""
        self._asked.clear()


_PROCESS = StopRequest()


def stop_request() -> StopRequest:
    return _PROCESS
