"""A server must not outlive us, however we end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from parrot_core.engines.vllm.server import VllmServer

SERVER = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
PARENT = """
import subprocess, sys, time
subprocess.Popen(
    [sys.executable, "-m", "parrot_core.engines.vllm.guard", sys.executable, "-c", *sys.argv[1:]],
    stdin=subprocess.PIPE, start_new_session=True,
)
time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return status != "Z"


def wait_for(condition: object, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def written_pid(path: Path) -> int:
    assert wait_for(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


def test_a_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    record = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, SERVER, str(record)])
    try:
        server = written_pid(record)
        assert alive(server)
        os.kill(parent.pid, signal.SIGKILL)
        assert wait_for(lambda: not alive(server))
    finally:
        parent.kill()
        parent.wait()


def test_a_server_and_what_it_started_end_when_its_input_closes(tmp_path: Path) -> None:
    record = tmp_path / "pid"
    command = f"[sys.executable, '-c', {SERVER!r}, {str(record)!r}]"
    with_child = f"import subprocess, sys; subprocess.run({command})"
    guard = subprocess.Popen(
        [sys.executable, "-m", "parrot_core.engines.vllm.guard", sys.executable, "-c", with_child],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    grandchild = written_pid(record)
    assert guard.stdin is not None
    guard.stdin.close()
    assert wait_for(lambda: guard.poll() is not None)
    assert wait_for(lambda: not alive(grandchild))


def test_what_a_killed_guard_leaves_is_ended_with_the_stage(tmp_path: Path) -> None:
    record = tmp_path / "pid"
    command = f"[sys.executable, '-c', {SERVER!r}, {str(record)!r}]"
    with_child = f"import subprocess, sys; subprocess.run({command})"
    guard = subprocess.Popen(
        [sys.executable, "-m", "parrot_core.engines.vllm.guard", sys.executable, "-c", with_child],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    grandchild = written_pid(record)
    os.kill(guard.pid, signal.SIGKILL)
    guard.wait()
    assert alive(grandchild)
    served = object.__new__(VllmServer)
    served._process = guard
    served.stop()
    assert wait_for(lambda: not alive(grandchild))
