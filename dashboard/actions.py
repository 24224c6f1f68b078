"""What a viewer may do to a run: retry, pause, resume. Work is done by the ``parrot`` command in a
process of its own, which outlives the dashboard."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from parrot_core.errors import UserError
from parrot_core.execution.runs import work_folder
from parrot_core.lake.lake import Lake
from parrot_core.lake.pauses import Pauses

TAIL_BYTES = 8000

Start = Callable[[Sequence[str], IO[bytes]], "subprocess.Popen[bytes]"]


def start_detached(command: Sequence[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a process that goes on when we end; what it says goes to ``log``."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


class Actions:
    """Retries, pauses and resumes runs of one lake."""

    def __init__(self, lake: Lake, start: Start = start_detached) -> None:
        """Nothing is done yet."""
        self._lake = lake
        self._start = start
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def pause(self, run: str) -> None:
        """Let nothing new begin in a run."""
        Pauses(self._lake.storage, run).pause("the dashboard", datetime.now(UTC))

    def resume(self, run: str) -> None:
        """Let a paused run go on."""
        Pauses(self._lake.storage, run).resume()

    def retry(
        self,
        run: str,
        stage: str,
        shards: Sequence[int],
        settings: Mapping[str, float],
        rest: bool = False,
    ) -> None:
        """Start ``parrot retry`` for some shards of a stage, or for all that is missing of a run.

        Args:
            run: its name.
            stage: of the shards; empty for everything that is missing.
            shards: empty for all of the stage's that are missing.
            settings: operational settings of the recipe to change, by their dotted path.
            rest: go on with stages that nobody has asked for yet, too.

        Raises:
            UserError: a retry that was started here still runs.
        """
        with self._lock:
            if self.running(run):
                raise UserError(f"a retry of '{run}' that was started here still runs")
            log = self._log(run)
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as file:
                command = self.command(run, stage, shards, settings, rest)
                self._running[run] = self._start(command, file)

    def command(
        self,
        run: str,
        stage: str,
        shards: Sequence[int],
        settings: Mapping[str, float],
        rest: bool = False,
    ) -> list[str]:
        """The command that a retry is."""
        parrot = [sys.executable, "-c", "from parrot_cli.main import main; main()"]
        chosen = [f"{stage}:{index}" for index in shards] or ([stage] if stage else [])
        changed = [f"{path}={json.dumps(value)}" for path, value in settings.items()]
        return [
            *parrot,
            *("retry", run, "--lake", self._lake.url),
            *(["--rest"] if rest else []),
            *(word for each in chosen for word in ("--shard", each)),
            *(word for each in changed for word in ("--set", each)),
        ]

    def running(self, run: str) -> bool:
        """Whether a retry that was started here still runs."""
        process = self._running.get(run)
        return process is not None and process.poll() is None

    def tail(self, run: str) -> str:
        """What the last retry that was started here said, its end; empty when there was none."""
        if run not in self._running:
            return ""
        data = self._log(run).read_bytes()[-TAIL_BYTES:]
        return data.decode("utf-8", "replace")

    def _log(self, run: str) -> Path:
        return work_folder(self._lake, run) / "dashboard-retry.log"
