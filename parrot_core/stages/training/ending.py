"""Ends a training process early: when it is asked to stop, or when its parent dies."""

import os
import signal
import threading
from pathlib import Path

WATCH_PARENT = "PARROT_WATCH_PARENT"
"""When set, standard input is a pipe from the parent: its end means that the parent is gone."""


def end_when_asked(alive: Path) -> None:
    """End at once on SIGTERM, whatever the process does, and take away its sign of life.

    Python runs a handler only once the call that it is in returns, and one that waits for a dead
    peer need not return: the launcher would kill it after half a minute, and it would look like
    another process that vanished. So a thread of its own is woken by the signal.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGTERM, lambda *_: None)

    def wait() -> None:
        while os.read(woken, 1)[0] != signal.SIGTERM:  # other signals keep their own handlers
            pass
        alive.unlink(missing_ok=True)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def end_with_parent() -> None:
    """End this process when the one that started it is gone, rather than train for nobody."""

    def wait() -> None:
        while os.read(0, 1):  # not sys.stdin: its lock would be held at interpreter shutdown
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
