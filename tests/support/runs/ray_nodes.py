"""A Ray cluster of several nodes on this machine, in a network of its own."""

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.runs.pool_workers import until

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40


@contextmanager
def network_of_its_own() -> Iterator[None]:
    """Give this thread, and what it starts, a network with nothing but a loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET):
            pytest.skip(f"no network namespace may be made: {os.strerror(ctypes.get_errno())}")
        try:
            with socket.socket() as any_socket:
                up = struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING)
                fcntl.ioctl(any_socket, SIOCSIFFLAGS, up)
            yield
        finally:
            libc.setns(before, CLONE_NEWNET)
    finally:
        os.close(before)


class RayNodes:
    """A cluster of nodes with a CPU each, apart from any other on this machine."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._port = 20000 + os.getpid() % 10000  # Ray looks for others among all processes
        self._scratch = tempfile.mkdtemp(prefix="ray")  # sockets lie there, whose paths are short
        patience = {"RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "120"}
        self._environment = {**environment, **patience, "RAY_TMPDIR": self._scratch}
        self._nodes: list[subprocess.Popen[bytes]] = []
        self.address = f"127.0.0.1:{self._port}"

    def add(self) -> None:
        """Start a node, the first one as the head; return when it can be given work."""
        number = len(self._nodes)
        low = 40000 + 500 * number
        own = {
            "node-ip-address": "127.0.0.1",
            "num-cpus": 1,
            "object-store-memory": 80_000_000,
            "min-worker-port": low,
            "max-worker-port": low + 400,
            "dashboard-agent-listen-port": 39000 + number,
        }
        head = {"port": self._port, "include-dashboard": False}
        own |= {"address": self.address} if number else head
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        command += [] if number else ["--head", "--disable-usage-stats"]
        command += [f"--{name}={value}" for name, value in own.items()]
        path = self._folder / f"ray-{number}.log"
        with path.open("wb") as log:
            node = subprocess.Popen(
                command,
                env=self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._nodes.append(node)
        started = "Ray runtime started"
        until("Ray runs", lambda: started in path.read_text() or node.poll() is not None)
        assert started in path.read_text(), path.read_text()[-2000:]

    def kill(self, number: int = 0) -> None:
        """End a node without a word, as a machine does that loses its power; and those after it."""
        for node in self._nodes[number:]:
            with suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGKILL)
            node.wait()
        del self._nodes[number:]

    def close(self) -> None:
        """End all, and leave nothing."""
        self.kill()
        shutil.rmtree(self._scratch, ignore_errors=True)
