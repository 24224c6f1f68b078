"""Several processes give what one gives, in its order, and none is left whatever happens."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.errors import ProcessLost
from parrot_core.ingest.crew import Crew, Lender, processes_of
from tests import crew_work

PATIENCE_S = 60


def _gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def _all_gone(processes: set[int]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if all(map(_gone, processes)):
            return True
        time.sleep(0.05)
    return False


def _jobs(count: int) -> Iterator[tuple[str, int]]:
    return ((f"job {number}", number) for number in range(count))


def test_results_come_in_the_order_of_the_jobs_with_what_was_kept_of_them() -> None:
    with Crew(crew_work.squares, 2) as crew:
        found = list(crew.results(_jobs(40)))
    assert found == [(f"job {number}", number * number) for number in range(40)]


def test_a_small_input_starts_no_process() -> None:
    with Crew(crew_work.process_ids, 2, alone=4) as crew:
        assert {found for _, found in crew.results(_jobs(4))} == {os.getpid()}
    with Crew(crew_work.process_ids, 1, alone=4) as crew:
        assert {found for _, found in crew.results(_jobs(9))} == {os.getpid()}


def test_no_more_jobs_are_taken_than_two_a_process_ahead() -> None:
    taken = 0

    def jobs() -> Iterator[tuple[None, int]]:
        nonlocal taken
        for taken in range(1, 41):
            yield None, taken

    with Crew(crew_work.squares, 2, alone=0) as crew:
        for done, _ in enumerate(crew.results(jobs())):
            assert taken <= done + 4


def test_what_the_work_raises_is_raised_here_with_the_place_and_no_process_stays() -> None:
    with Crew(partial(crew_work.squares_but, 20), 2, alone=0) as crew:
        results = crew.results(_jobs(40))
        next(results)
        members = {member.pid for member in crew._members}
        with pytest.raises(ValueError, match=r"20 can't be squared") as raised:
            list(results)
    assert "crew_work.py" in raised.value.__notes__[0]
    assert members
    assert _all_gone(members)


def test_a_process_that_dies_is_one_clear_error() -> None:
    with (
        pytest.raises(ProcessLost, match=r"killed by signal 9 \(out of memory\?\).*processes"),
        Crew(partial(crew_work.dies_at, 20, os.getpid()), 2, alone=0) as crew,
    ):
        list(crew.results(_jobs(40)))


def test_what_a_library_prints_does_not_get_between_the_answers() -> None:
    with Crew(crew_work.talkative, 2, alone=0) as crew:
        assert [found for _, found in crew.results(_jobs(9))] == list(range(9))


def test_a_reader_that_stops_early_leaves_no_process() -> None:
    with Crew(crew_work.process_ids, 2, alone=0) as crew:
        _, process = next(crew.results(_jobs(40)))
        members = {member.pid for member in crew._members}
    assert process in members
    assert _all_gone(members)


CALLER = """
import sys
from parrot_core.ingest.crew import Crew
from tests import crew_work

def jobs():
    number = 0
    while True:
        yield None, number
        number += 1

if __name__ == "__main__":
    with Crew(crew_work.process_ids, 2, alone=0) as crew:
        for _, process in crew.results(jobs()):
            print(process, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_caller_that_is_ended_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "caller.py"
    file.write_text(CALLER)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=env,
        cwd=Path(__file__).parents[3],
    ) as caller:
        assert caller.stdout is not None
        members = {int(caller.stdout.readline()) for _ in range(20)}
        caller.send_signal(number)
        caller.stdout.close()
        caller.wait(PATIENCE_S)
    assert members
    assert _all_gone(members)


@given(st.lists(st.integers(1, 8), max_size=6), st.integers(1, 8))
@settings(max_examples=30)
def test_shards_that_work_at_once_have_no_more_processes_than_one(
    ends: list[int], most: int
) -> None:
    lender = Lender()
    with lender.lend(most) as first, lender.lend(most) as second:
        assert (first, second) == (most, 0)
    for _ in ends:
        with lender.lend(most) as again:
            assert again == most


def test_the_recipe_may_say_how_many() -> None:
    assert processes_of(7) == 7
    assert processes_of(None) == min(4, len(os.sched_getaffinity(0)))
