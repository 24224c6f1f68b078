"""Checkpoints of a training: which are whole, and a thread that carries them to the lake.

A checkpoint on this machine is whole once its seal is there, which the training process writes
last: names and sizes of all files. One that a kill cut short, or that was being removed, has no
seal that agrees with it, and is never resumed from.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parrot_core.errors import CorruptFile, LeaseLost, RunStopped, StorageError
from parrot_core.lake.checkpoints import Checkpoints
from parrot_core.stages.training.job import TrainingJob
from parrot_core.telemetry.repeated_call import RepeatedCall

logger = logging.getLogger(__name__)

SEAL = "seal.json"
LOOK_EVERY_S = 1.0
LAST_S = 3.0
"""How long a process that is to stop waits until its last checkpoint is in the lake."""


def seal(folder: Path) -> None:
    """Declare a checkpoint whole: all its files have been written."""
    text = json.dumps(_sizes(folder), indent=1)
    scratch = folder / f".{SEAL}.{os.getpid()}"
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(folder / SEAL)


def is_whole(folder: Path) -> bool:
    """Whether a checkpoint has all that its seal promises."""
    try:
        promised = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        return bool(promised == _sizes(folder))
    except (FileNotFoundError, ValueError):
        return False


def newest(folder: Path) -> Path | None:
    """The whole checkpoint of the highest step below a folder."""
    whole = [path for path in folder.glob("checkpoint-*") if is_whole(path)]
    return max(whole, key=step_of, default=None)


def remove_unfinished(folder: Path) -> None:
    """Remove the checkpoints that are not whole.

    What is written over one would be sealed together with its leftovers: parts of more processes
    than write now. And of a large model half a checkpoint fills a disk.
    """
    for path in folder.glob("checkpoint-*"):
        if not is_whole(path):
            shutil.rmtree(path)


def step_of(checkpoint: Path) -> int:
    """The optimiser step after which a checkpoint was taken."""
    return int(checkpoint.name.rpartition("-")[2])


def identity_of(job: TrainingJob, base: str) -> str:
    """What a checkpoint belongs to: a digest that is the same on every machine.

    Args:
        job: the training; where its model lies on this machine doesn't count.
    """
    text = json.dumps({**job.identity(), "model": base}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def resume_from_lake(job: TrainingJob, kept: Checkpoints, identity: str) -> None:
    """Fetch the lake's newest checkpoint of this training, unless a newer one is here.

    One that turns out to be damaged costs its steps, not the training.
    """
    if job.metrics_file.exists():
        return
    here = newest(job.checkpoints)
    found = kept.newest(identity)
    if found is None or (here is not None and step_of(here) >= found.step):
        return
    try:
        kept.fetch(found, job.checkpoints / f"checkpoint-{found.step}", seal)
    except (CorruptFile, FileNotFoundError) as error:
        logger.warning("the training begins without the lake's checkpoint: %s", error)


@contextmanager
def carried_to_lake(job: TrainingJob, kept: Checkpoints, identity: str) -> Iterator[None]:
    """Carry each whole checkpoint to the lake while the block runs, from a thread of its own.

    When training saves faster than the lake takes, those in between are left out. A block that
    ends in an error waits for the last one: the next attempt may be on another machine. One that
    is to stop waits :data:`LAST_S` for it, and no longer.
    """
    carrier = _Carrier(job.checkpoints, kept, identity)
    looks = RepeatedCall("parrot-checkpoints", carrier.look, LOOK_EVERY_S)
    looks.start()
    try:
        yield
    except BaseException as error:
        looks.stop(LAST_S if isinstance(error, RunStopped) else None, once_more=True)
        raise
    else:
        looks.stop()


class _Carrier:
    """Carries the newest checkpoint, if it is another than the last time."""

    def __init__(self, folder: Path, kept: Checkpoints, identity: str) -> None:
        self._folder = folder
        self._kept = kept
        self._identity = identity
        self._step = 0

    def look(self) -> None:
        """A checkpoint that can't be carried is a wait for the next one, not a failed training."""
        checkpoint = newest(self._folder)
        if checkpoint is None or step_of(checkpoint) <= self._step:
            return
        step = step_of(checkpoint)
        try:
            self._kept.keep(checkpoint, _names(checkpoint), step, self._identity)
            self._step = step
        except FileNotFoundError:
            logger.info("checkpoint %d was superseded while it was on its way", step)
            self._kept.forget(step)
        except LeaseLost as error:
            logger.warning("%s", error)
        except (OSError, StorageError) as error:
            logger.warning("checkpoint %d could not be kept in the lake: %s", step, error)


def _sizes(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_size for name in _names(folder)}


def _names(folder: Path) -> list[str]:
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and SEAL not in path.name:
                found.append(path.relative_to(folder).as_posix())
    return sorted(found)
