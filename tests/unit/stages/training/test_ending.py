"""A training process ends when it is asked to, and with its parent."""

import signal
import subprocess
import sys

import pytest

STUCK = """
import ctypes, sys
from pathlib import Path
from parrot_core.stages.training import ending
alive = Path(sys.argv[1])
alive.touch()
{}
print('ready', flush=True)
lock = ctypes.create_string_buffer(64)  # a pthread mutex, which no signal interrupts
for _ in range(2): ctypes.CDLL(None).pthread_mutex_lock(lock)
"""


def stuck(tmp_path, starts):
    """A process in a call that never returns, as of a collective operation whose peer is dead."""
    command = [sys.executable, "-c", STUCK.format(starts), str(tmp_path / "alive")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_it_ends_when_asked_though_a_call_never_returns_and_is_not_taken_for_killed(tmp_path):
    with stuck(tmp_path, "ending.end_when_asked(alive)") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    assert not (tmp_path / "alive").exists()


def test_it_ends_when_its_parent_is_gone(tmp_path):
    with stuck(tmp_path, "ending.end_with_parent()") as process:
        process.stdin.close()
        assert process.wait(20) == 1
    assert (tmp_path / "alive").exists()
