"""Files of a training over nodes: the first node's go to all, what others wrote comes to it.

Runs in the training processes, which meet over torch.distributed anyway: so the other nodes need
neither the lake nor a folder that all share, and all begin from what the first one has chosen.
"""

import os
import shutil
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from parrot_core.stages.training.job import TrainingJob

Value = TypeVar("Value")
Listing = list[tuple[str, int, int]]
"""The files of a folder: name, size, time of the last change."""

CHUNK = 64 << 20
PATIENCE = timedelta(hours=6)
"""How long processes wait for files: a large model takes its time over a slow network."""


@cache
def other_nodes() -> "OtherNodes | None":
    """The other nodes of this process's training; None if there are none."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    return OtherNodes(local) if world > local else None


class OtherNodes:
    """What processes of several nodes tell and send each other, always all of them at once."""

    def __init__(self, processes: int) -> None:
        """Make groups over gloo, whatever the training itself uses.

        Args:
            processes: on each node. The first process of a node moves its files.
        """
        leaders = list(range(0, dist.get_world_size(), processes))
        self._all = dist.new_group(backend="gloo", timeout=PATIENCE)
        self._leaders = dist.new_group(leaders, backend="gloo", timeout=PATIENCE)
        self._nodes = len(leaders)
        self._leads = dist.get_rank() in leaders
        self._first = dist.get_rank() == 0

    def told(self, value: Value) -> Value:
        """What the first process has for ``value``."""
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._all)
        return box[0]

    def job(self, job: TrainingJob) -> TrainingJob:
        """The first node's job, with its examples and its model in this node's folder."""
        first = self.told(job)
        mine = first.model_copy(update={"folder": job.folder})
        for theirs, ours in (
            (first.train_file, mine.train_file),
            (first.heldout_file, mine.heldout_file),
        ):
            seen = self.copied(theirs, ours)
            if self._leads and seen != ours:
                shutil.copyfile(seen, ours)
        dist.barrier(group=self._all)
        if not self.told(Path(first.model).is_dir()):
            return mine  # a name on a hub, which each node asks
        return mine.model_copy(
            update={"model": str(self.copied(Path(first.model), mine.base_folder))}
        )

    def copied(self, source: Path, target: Path) -> Path:
        """Copy a file or folder of the first node to all others.

        Returns:
            Where it is on this node: ``target``, or ``source`` itself if this node sees the very
            files there, on a shared volume.
        """
        wanted = self.told(_listing(source))
        seen = _listing(source) == wanted
        all_seen: list[bool] = [seen] * dist.get_world_size()
        dist.all_gather_object(all_seen, seen, group=self._all)
        if not all(all_seen) and self._leads:
            if not seen and target.is_dir():
                shutil.rmtree(target)
            for name, size, _ in wanted:
                self._send(source / name, size, None if seen else target / name)
        dist.barrier(group=self._all)
        return source if seen else target

    def _send(self, source: Path, size: int, target: Path | None) -> None:
        """Send a file of the first node; ``target`` is None where this node needs none."""
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        place = source if self._first else target or Path(os.devnull)
        with place.open("rb" if self._first else "wb") as opened:
            file: Any = opened
            for start in range(0, size, CHUNK):
                chunk = torch.empty(min(CHUNK, size - start), dtype=torch.uint8)
                if self._first and file.readinto(chunk.numpy()) != len(chunk):
                    raise OSError(f"{source}: became shorter while it was sent to other nodes")
                dist.broadcast(chunk, src=0, group=self._leaders)
                if not self._first:
                    file.write(chunk.numpy())

    def collect(self, folder: Path) -> None:
        """Bring the small files that other nodes wrote to their ``folder`` into the first one's."""
        dist.barrier(group=self._all)
        firsts = self.told(_listing(folder))
        if self._leads:
            apart = _listing(folder) != firsts
            files = {n: (folder / n).read_bytes() for n, *_ in _listing(folder)} if apart else {}
            found: list[Any] | None = [None] * self._nodes if self._first else None
            dist.gather_object(files, found, dst=0, group=self._leaders)
            for name, content in (item for each in found or () for item in each.items()):
                (folder / name).write_bytes(content)
        dist.barrier(group=self._all)


def _listing(path: Path) -> Listing:
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [(p.relative_to(path).as_posix(), p.stat().st_size, p.stat().st_mtime_ns) for p in found]
