"""A Ray cluster of several nodes on this machine, in a network of its own."""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.runs.pool_workers import until

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
HEAD = "127.0.0.1:6379"


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


class RayNode:
    """A raylet and what belongs to it; the head has the cluster's own services, too."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, head: bool) -> None:
        """Start it; return when it is there to join, or to be given work."""
        place = 0 if head else 1
        low = 20000 + 500 * place
        own = {
            "node-ip-address": "127.0.0.1",
            "num-cpus": 1,
            "object-store-memory": 80_000_000,
            "min-worker-port": low,
            "max-worker-port": low + 400,
            "dashboard-agent-listen-port": 52365 + place,
            **({"port": 6379, "include-dashboard": False} if head else {"address": HEAD}),
        }
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        command += ["--head", "--disable-usage-stats"] if head else []
        command += [f"--{name}={value}" for name, value in own.items()]
        path = folder / f"ray-{'head' if head else 'node'}.log"
        with path.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env={**environment, "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "120"},
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started = "Ray runtime started"
        until("Ray runs", lambda: started in path.read_text() or self.process.poll() is not None)
        assert started in path.read_text(), path.read_text()[-2000:]

    def kill(self) -> None:
        """End all of it without a word, as a machine does that loses its power."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
