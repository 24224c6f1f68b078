"""A node's part in a training that another node's process runs: it does nothing but train."""

import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from parrot_core.errors import RunStopped, TrainingFailed
from parrot_core.lake.leases import Claim
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.launch import WORKER, explain, save_first, started
from parrot_core.stages.training.nodes import TrainingNode

logger = logging.getLogger(__name__)

PATIENCE_S = 600.0
"""How long the first node may give no sign of life before the others end."""
RETRY_S = 5.0


def forget_copies(job: TrainingJob) -> None:
    """Remove what the first node sent to this one; the log is kept."""
    for copied in (job.base_folder, job.checkpoints):
        shutil.rmtree(copied, ignore_errors=True)


class JoinedTraining:
    """Starts this node's processes whenever the first node is at the training.

    A context manager; the processes end with it.
    """

    def __init__(
        self,
        job: TrainingJob,
        node: TrainingNode,
        worker: Sequence[str] = WORKER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """What the first node must tell of the job is not yet in ``job``: model, examples."""
        self._job, self._node, self._worker, self._clock = job, node, worker, clock
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._claim: Claim | None = None  # what the first node's hold on the training was last
        self._changed = clock()
        self._done = 0  # number of the claim under which this node's part came to its end
        self._next_start = 0.0

    def __enter__(self) -> "JoinedTraining":
        return self

    def __exit__(self, *raised: object) -> None:
        if isinstance(raised[1], RunStopped) and self._process is not None:
            save_first(self._job, self._process)
        self._stack.close()
        forget_copies(self._job)

    def __call__(self, claim: Claim | None) -> None:
        """Look after the processes; to be called every second or so.

        Args:
            claim: the first node's on the training's shard.

        Raises:
            TrainingFailed: the first node has been silent for :data:`PATIENCE_S`.
        """
        now = self._clock()
        if claim != self._claim:
            self._claim, self._changed = claim, now
        if self._process is not None and (status := self._process.poll()) is not None:
            if status == 0 and claim is not None:
                self._done = claim.number
            else:
                logger.warning("node %d: %s", self._node.rank, explain(self._job, status))
            self._stack.close()
            self._process, self._next_start = None, now + RETRY_S
        if now - self._changed > PATIENCE_S:
            raise TrainingFailed(
                f"node {self._node.rank} of {self._node.count} has waited {PATIENCE_S / 60:.0f} "
                f"minutes for the first one ({self._node.address}), which is not at the training"
            )
        if claim is None or claim.state != "held" or claim.over or claim.number == self._done:
            return
        if self._process is None and now >= self._next_start:
            self._start()

    def _start(self) -> None:
        shutil.rmtree(self._job.folder, ignore_errors=True)
        self._job.folder.mkdir(parents=True)
        self._job.save()
        self._process = self._stack.enter_context(started(self._job, self._worker, self._node))
