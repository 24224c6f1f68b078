"""The ``parrot`` command as a process: on a terminal of its own, or with its output kept."""

import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

PATIENCE_S = 180.0
PARROT = [sys.executable, "-c", "from parrot_cli.main import main; main()"]


class Command:
    """A running ``parrot`` on a pseudo-terminal; what it shows is read as it comes."""

    def __init__(self, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*PARROT, *arguments],
            cwd=folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._shown = b""
        self._fd = ours
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def shown(self) -> str:
        """Everything so far."""
        return self._shown.decode(errors="replace")

    def signal(self, number: int) -> None:
        """As a terminal or a supervisor sends it: to the process alone."""
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """The exit code; the whole group is killed if it doesn't end in time."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            raise AssertionError(f"not ended after {seconds} s:\n{self.shown[-3000:]}") from None
        self._thread.join(2)
        return code

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._fd, 4096)
            except OSError:  # what Linux says when the other end is closed
                return
            if not data:
                return
            self._shown += data


class Cli:
    """Runs ``parrot`` in a folder of its own, against a Prefect server of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PARROT_", "PREFECT_"))}
        root = str(Path(__file__).resolve().parents[3])
        self.environment = {
            **kept,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": root,
            "COLUMNS": "160",
        }

    def recipe(self, name: str, recipe: Mapping[str, Any]) -> str:
        """Write a recipe; returns its path."""
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(dict(recipe)))
        return str(path)

    def start(self, *arguments: str) -> Command:
        """Begin a command."""
        return Command(list(arguments), self.folder, self.environment)

    def start_on_nodes(self, nodes: int, port: int, *arguments: str) -> list[Command]:
        """Begin a command as a launcher does that starts it on each of several nodes."""
        told = {
            "PET_NNODES": f"{nodes}",
            "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": f"{port}",
        }
        return [
            Command(
                list(arguments),
                self.folder,
                {**self.environment, **told, "PET_NODE_RANK": f"{rank}"},
            )
            for rank in range(nodes)
        ]

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*PARROT, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


def until(what: str, true: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    """Wait for something that has no event to wait for."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def processes_of(folder: Path) -> list[str]:
    """Command lines of live processes that have the folder in their environment or arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder).encode() in environment and command and "server" not in command:
            found.append(command)
    return found
