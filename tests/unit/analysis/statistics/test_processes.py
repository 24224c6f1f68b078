"""Many processes find what one finds, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from parrot_core.analysis.statistics import processes
from parrot_core.analysis.statistics.compute import Options, compute
from parrot_core.analysis.statistics.processes import read_each
from parrot_core.analysis.statistics.session import Session
from parrot_core.telemetry.progress import Progress

THINGS = ("a bridge", "Lyon", "this valley", "it", "the second one", "tea")


class Talks:
    """Sessions of one to seven turns, some of which lean on what was said."""

    label = "talks"
    identity = None

    def __init__(self, total: int) -> None:
        self.total = total

    def sessions(self, progress: Progress) -> Iterator[Session]:
        for number in range(self.total):
            turns = range(1 + number % 7)
            queries = tuple(f"How old is {THINGS[(number + t) % 6]}, {number}?" for t in turns)
            answers = tuple(f"About {number * t} years, or {t} more." for t in turns)
            yield Session(f"s{number}", "en", queries, answers)

    def left_out(self) -> dict[str, int]:
        return {}

    def warnings(self) -> tuple[str, ...]:
        return ()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes begin after ten sessions."""
    monkeypatch.setattr(processes, "ALONE", 10)


@pytest.mark.usefixtures("soon")
def test_two_processes_find_what_one_finds() -> None:
    alone = compute(Talks(150), Options(sample=120))
    assert alone.figure("anaphora") is not None
    assert compute(Talks(150), Options(sample=120), processes=2) == alone


def test_few_sessions_begin_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(processes, "ProcessPoolExecutor")
    assert compute(Talks(20), processes=8) == compute(Talks(20))


@pytest.mark.usefixtures("soon")
def test_where_a_process_is_killed_the_others_work_is_done_all_the_same() -> None:
    found = []
    with closing(read_each(Talks(400).sessions(lambda _: None), 42, "words", 2)) as readings:
        for place, reading in enumerate(readings):
            found.append(reading)
            if place == 50:
                os.kill(_children()[0], signal.SIGKILL)
    assert found == list(read_each(Talks(400).sessions(lambda _: None), 42, "words"))
    assert _children() == []


def _children() -> list[int]:
    """Processes of this one that read sessions."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "spawn_main"], capture_output=True, text=True
    )
    return [int(each) for each in found.stdout.split()]


SCRIPT = """
from itertools import repeat
from parrot_core.analysis.statistics import processes
from parrot_core.analysis.statistics.session import Session

if __name__ == "__main__":
    processes.ALONE = 10
    talk = Session("s", "en", ("How old is Lyon?", "And how big is it?"), ("Old.", "Big."))
    for place, _ in enumerate(processes.read_each(repeat(talk), 42, "words", 2)):
        if place == 50:
            print("reading", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_end_from_outside_ends_all_processes(how: signal.Signals) -> None:
    script = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert script.stdout is not None
    assert script.stderr is not None
    assert script.stdout.readline() == b"reading\n"
    if how == signal.SIGINT:
        os.killpg(script.pid, how)  # as a terminal does
    else:
        script.kill()
    script.wait(60)
    assert script.stderr.read().count(b"Traceback") == (how == signal.SIGINT)  # the script's own
    until = time.monotonic() + 60
    while _group(script.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _group(script.pid)


def _group(group: int) -> bool:
    found = subprocess.run(["pgrep", "-g", str(group)], capture_output=True)
    return found.returncode == 0
