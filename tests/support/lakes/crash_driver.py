"""A process that synthesizes for real and can be killed anywhere, for tests of what survives.

Processes are forked from a server that has everything imported: one starts in a tenth of a second.
"""

import functools
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

from parrot_core.engines.limits.limits import Budget
from parrot_core.errors import LeaseLost, PartiallyFailed, ShardHeld
from parrot_core.execution import shard_work
from parrot_core.execution.plans import unfinished
from parrot_core.execution.runs import open_run
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake import storage
from parrot_core.lake.lake import Lake
from parrot_core.lake.leases import LeaseTimes
from parrot_core.lake.storage import Storage
from parrot_core.stages.synthesis.stage import SynthesizeStage

SHARDS_AT_ONCE = 2
HELD = 3
"""Exit code of a process that had to leave shards to another."""


@dataclass(frozen=True)
class Drive:
    """What one process is to do."""

    lake: str
    kill_at_write: int = 0  # die right before the k-th step of writing; 0: never
    backwards: bool = False
    times: LeaseTimes = field(default_factory=lambda: LeaseTimes(3.0, 0.5, 0.05))
    journal_spacing_s: float = 0.02
    environment: Mapping[str, str] = field(default_factory=dict)


def start(drive: Drive) -> BaseProcess:
    """Begin a process that opens the run, does what is missing, and publishes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "tests.support.lakes.crash_driver"])
    process = context.Process(target=work, args=(drive,), daemon=True)
    process.start()
    return process


def finish(drive: Drive) -> int:
    """Run a process to its end; returns its exit code, negative for a signal."""
    process = start(drive)
    process.join(60)
    if process.exitcode is None:
        process.kill()
        raise AssertionError("the driver did not end within a minute")
    return process.exitcode


def work(drive: Drive) -> None:
    """What the flow does with the synthesis stage, without Prefect."""
    os.environ.update(drive.environment)
    shard_work.LOCAL_JOURNAL_SPACING_S = drive.journal_spacing_s
    shard_work.REMOTE_JOURNAL_SPACING_S = drive.journal_spacing_s
    if drive.kill_at_write:
        _die_at(drive.kill_at_write, local="://" not in drive.lake)
    run = open_run(Lake(drive.lake), "test")
    try:
        with open_stage(run, SynthesizeStage(), Budget(None), drive.times) as opened:
            shards = unfinished(run, opened.plan)
            if drive.backwards:
                shards.reverse()
            with ThreadPoolExecutor(SHARDS_AT_ONCE) as pool:
                for outcome in [pool.submit(opened.run_shard, shard) for shard in shards]:
                    error = outcome.exception()
                    if error is not None and not isinstance(error, ShardHeld | LeaseLost):
                        raise error
            opened.publish()
    except PartiallyFailed:
        os._exit(HELD)


def _die_at(step: int, local: bool) -> None:
    """Kill this process right before its ``step``-th step of writing, whichever thread takes it.

    On a local disk a write is content under a temporary name, the name it is to have, and for
    put-if-absent the removal of the temporary one; each is a step. On object storage it is one.
    """
    lock = threading.Lock()
    left = [step]

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def before(*args: Any, **kwargs: Any) -> Any:
            with lock:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return before

    on_disk = ((os, "link"), (os, "remove"), (pathlib.Path, "replace"), (pathlib.Path, "unlink"))
    remote = (
        (storage, "created"),
        *((Storage, each) for each in ("upload", "delete", "write_bytes")),
    )
    for owner, name in on_disk if local else remote:
        setattr(owner, name, counted(getattr(owner, name)))
