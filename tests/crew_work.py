"""What the processes of a crew do in tests: each kind of work, and each way to fail."""

import os
import signal
from collections.abc import Callable

Work = Callable[[int], int]


def squares() -> Work:
    """The square of each number."""
    return lambda number: number * number


def squares_but(number: int) -> Work:
    """The square of each number but one, which is refused."""

    def work(given: int) -> int:
        if given == number:
            raise ValueError(f"{given} can't be squared")
        return given * given

    return work


def dies_at(number: int, here: int) -> Work:
    """Ends its process at a number, unless that is the process ``here``."""

    def work(given: int) -> int:
        if given == number and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return given

    return work


def process_ids() -> Work:
    """The process that works."""
    return lambda _: os.getpid()


def talkative() -> Work:
    """Prints on the way."""

    def work(given: int) -> int:
        print("a library says something")
        return given

    return work
