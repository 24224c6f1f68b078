"""Who holds a lease: a process, known well enough that its own host can tell when it is gone."""

import os
import socket
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_STATE, _START = 0, 19  # fields of /proc/<pid>/stat after the command's closing parenthesis


class Holder(BaseModel):
    """A process on a host. Where the system has no ``/proc``, only its name is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    worker: str  # for people: host:pid
    boot: str = ""  # the kernel's boot id: the same for all processes of one running machine
    pids: str = ""  # the PID namespace: containers of one machine number their processes alike
    pid: int
    started: int = 0  # clock ticks after boot: a process id is used again, with another start

    def same_process(self, other: "Holder") -> bool:
        """Whether both are one process, under whatever names."""
        mine = (self.boot, self.pids, self.pid, self.started)
        return mine == (other.boot, other.pids, other.pid, other.started)

    def is_gone(self) -> bool:
        """Whether the process has certainly ended. False also when that can't be told from here.

        Only a process of the same boot and PID namespace can be looked up; a zombie, whose parent
        has not noticed yet, has ended too.
        """
        boot, pids = _machine()
        if not self.boot or (self.boot, self.pids) != (boot, pids):
            return False
        found = _stat(self.pid)
        return found is None or found[0] in ("Z", "X") or found[1] != self.started


def this_process(worker: str | None = None) -> Holder:
    """The process that asks, under ``worker`` as its name, or as ``host:pid``."""
    pid = os.getpid()
    boot, pids = _machine()
    found = _stat(pid)
    if found is None:
        boot = ""
    return Holder(
        worker=worker or f"{socket.gethostname()}:{pid}",
        boot=boot,
        pids=pids,
        pid=pid,
        started=found[1] if found else 0,
    )


def _machine() -> tuple[str, str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot, os.readlink("/proc/self/ns/pid")
    except OSError:
        return "", ""


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time of a process, or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[_STATE], int(fields[_START])
