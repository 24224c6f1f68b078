"""A function that is called every few seconds from a thread of its own."""

import threading
from collections.abc import Callable
from contextvars import copy_context


class RepeatedCall:
    """Calls ``work`` again and again, in the context of whoever made it, until it is stopped."""

    def __init__(self, name: str, work: Callable[[], object], every_s: float) -> None:
        """Nothing is called before ``start``, and then first after ``every_s``."""
        self._work = work
        self._every_s = every_s
        self._stop = threading.Event()
        self._once_more = False
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._loop,), name=name, daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience_s: float | None = None, *, once_more: bool = False) -> None:
        """Let a call that is in work end, and make no other, or one; wait for it, or so long."""
        self._once_more = self._once_more or once_more
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)

    def _loop(self) -> None:
        while not self._stop.wait(self._every_s):
            self._work()
        if self._once_more:
            self._work()
