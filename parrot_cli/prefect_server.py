"""A local Prefect server of the factory's own, for when no ``PREFECT_API_URL`` is set.

It is a real server process with its database under ``.parrot/prefect``, not Prefect's ephemeral
one, which loses records. It goes on after a run, so that the run can be looked at.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

from parrot_core.errors import ParrotError
from parrot_core.telemetry.repeated_call import RepeatedCall

START_TIMEOUT_S = 180.0
BUSY_S = 60.0
"""A server of ours that runs and doesn't answer is waited for so long."""

LOOK_EVERY_S = 5.0
FIRST_PORT = 4200


class ServerFailed(ParrotError):
    """The local Prefect server did not come up."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server process that we started, now or earlier."""

    pid: int
    port: int
    home: str  # folder of its database, which no other server has

    @property
    def api_url(self) -> str:
        """What ``PREFECT_API_URL`` is to be."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def ui_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def alive(self) -> bool:
        """Whether its process runs; it may be too busy to answer."""
        try:
            command = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return b"prefect" in command and b"server" in command

    def healthy(self) -> bool:
        """Whether it answers, and is ours: another one may have taken the port meanwhile."""
        try:
            with urllib.request.urlopen(f"{self.api_url}/admin/settings", timeout=5) as answer:
                return bool(json.load(answer)["home"] == self.home)
        except (OSError, ValueError, LookupError, TypeError):
            return False


def home() -> Path:
    """Folder of the server's database, log and process record."""
    return Path(os.environ.get("PARROT_SERVER_HOME", ".parrot/prefect")).absolute()


def running() -> LocalServer | None:
    """The server that was started from here, if it still answers."""
    server = _recorded()
    return server if server is not None and server.healthy() else None


def _recorded() -> LocalServer | None:
    try:
        return LocalServer(**json.loads((home() / "server.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def ensure() -> LocalServer:
    """The running server, or a new one.

    Raises:
        ServerFailed: it ended or did not answer in time; the message names its log.
    """
    found = running()
    if found is not None:
        return found
    with _one_start_at_a_time():
        before = _recorded()
        return _patiently(before) or _start(before.port if before is not None else FIRST_PORT)


@contextmanager
def kept_up() -> Iterator[None]:
    """Start our server again, at its port, if it is killed while the block needs it.

    One that was stopped by command stays so, and one of ``PREFECT_API_URL`` is not ours.
    """

    def look() -> None:
        server = _recorded()
        if server is None or server.api_url != os.environ.get("PREFECT_API_URL"):
            return
        if not server.alive():
            with suppress(ServerFailed):  # tried again with the next look
                ensure()

    looks = RepeatedCall("parrot-server", look, LOOK_EVERY_S)
    looks.start()
    try:
        yield
    finally:
        looks.stop(LOOK_EVERY_S)


def _patiently(server: LocalServer | None) -> LocalServer | None:
    """The server when it answers; None if it has ended. A second one would share its database."""
    deadline = time.monotonic() + BUSY_S
    while server is not None and not server.healthy():
        if not server.alive() or time.monotonic() > deadline:
            return None
        time.sleep(0.5)
    return server


@contextmanager
def _one_start_at_a_time() -> Iterator[None]:
    """Let the servers of this machine start one after the other.

    A server takes seconds to listen: until then its port looks free to the next one, which would
    then take that server for its own.
    """
    lock = Path(tempfile.gettempdir()) / f"parrot-server-{os.getuid()}.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stop() -> LocalServer | None:
    """End the server that was started from here; returns it, or None if there was none."""
    server = running()
    if server is not None:
        os.killpg(server.pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while server.healthy() and time.monotonic() < deadline:
            time.sleep(0.2)
        (home() / "server.json").unlink(missing_ok=True)
    return server


def environment(server: LocalServer) -> dict[str, str]:
    """What a process needs in its environment to work against the server."""
    return {"PREFECT_API_URL": server.api_url, "PREFECT_HOME": str(home())}


def _start(first: int) -> LocalServer:
    """Start a server at a port, where those look who knew the one before, or at a free one."""
    folder = home()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    port = _free_port(first)
    outside = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    settings = {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # Record task runs in batches: several times the records a second on SQLite.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**outside, **settings},
            start_new_session=True,
        )
    server = LocalServer(process.pid, port, str(folder))
    deadline = time.monotonic() + START_TIMEOUT_S
    while not server.healthy():
        if process.poll() is not None:
            if not _is_free(port):  # somebody was faster
                return _start(FIRST_PORT)
            raise ServerFailed(f"the local Prefect server ended while starting; log: {log}")
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            raise ServerFailed(
                f"the local Prefect server did not answer in {START_TIMEOUT_S:.0f} s; log: {log}"
            )
        time.sleep(0.5)
    (folder / "server.json").write_text(json.dumps(asdict(server)))
    return server


def _free_port(first: int) -> int:
    """This one; else 4200 as everybody knows it, or the next one that is free."""
    for port in chain((first,), range(FIRST_PORT, FIRST_PORT + 100)):
        if _is_free(port):
            return port
    raise ServerFailed(f"no free port from {FIRST_PORT} to {FIRST_PORT + 99}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
