"""What a viewer may do to a run: retry, pause, resume. Work is done by the ``parrot`` command in a
process of its own, which outlives the dashboard."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Work:
    """What ``parrot retry`` is to do of a run."""

    run: str
    stage: str = ""  # empty: everything that is missing
    shards: tuple[int, ...] = ()  # of the stage; empty: all of it that are missing
    settings: Mapping[str, float] = field(default_factory=dict)  # by dotted path
    quarantined: bool = False  # release those in quarantine first
    rest: bool = False  # go on with stages that nobody has asked for yet, too

    @property
    def words(self) -> list[str]:
        """The words behind ``parrot``, as a person would type them, but for the lake."""
        chosen = [f"{self.stage}:{index}" for index in self.shards]
        chosen = chosen or ([self.stage] if self.stage else [])
        changed = [f"{path}={json.dumps(value)}" for path, value in self.settings.items()]
        return [
            *("retry", self.run),
            *(["--rest"] if self.rest else []),
            *(word for each in chosen for word in ("--shard", each)),
            *(["--quarantined"] if self.quarantined else []),
            *(word for each in changed for word in ("--set", each)),
        ]


class Actions:
    """Retries, pauses and resumes runs of one lake."""

    def __init__(self, lake: Lake, start: Start = start_detached) -> None:
        self._lake = lake
        self._start = start
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def pause(self, run: str) -> None:
        """Let nothing new begin in a run."""
        Pauses(self._lake.storage, run).pause("the dashboard", datetime.now(UTC))

    def resume(self, run: str) -> None:
        Pauses(self._lake.storage, run).resume()

    def retry(self, work: Work) -> None:
        """Start ``parrot retry``; a pause of the run is lifted first.

        Raises:
            UserError: a retry that was started here still runs.
        """
        with self._lock:
            if self.running(work.run):
                raise UserError(f"a retry of '{work.run}' that was started here still runs")
            self.resume(work.run)
            log = self._log(work.run)
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as file:
                self._running[work.run] = self._start(self.command(work), file)

    def command(self, work: Work) -> list[str]:
        parrot = [sys.executable, "-c", "from parrot_cli.main import main; main()"]
        return [*parrot, *work.words, "--lake", self._lake.url]

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
