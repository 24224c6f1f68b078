"""The parent's side of a training: start the process, follow it, end it, name its failure."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from parrot_core.errors import MissingPackage, RunStopped, TrainingFailed, UserError
from parrot_core.models.references import child_environment
from parrot_core.stages.training.ending import WATCH_PARENT
from parrot_core.stages.training.job import TrainingJob, load_job
from parrot_core.stages.training.nodes import NODE, TrainingNode, launched_node
from parrot_core.telemetry.stop_request import stop_request

Figures = dict[str, Any]
"""One line of the progress file: a phase, or a step with its figures."""
OnProgress = Callable[[Figures], None]

WORKER = ("-m", "parrot_core.stages.training.worker")
POLL_S = 0.5
GRACE_S = 10.0
END_WITHIN_S = 30.0
"""How long a training over nodes whose model is there may take to end."""
SAVE_S = 7.0
"""How long a training that is to stop may take to end its step and to save a checkpoint."""


def run_training(
    job: TrainingJob,
    on_progress: OnProgress,
    *,
    worker: Sequence[str] = WORKER,
    sleep: Callable[[float], None] | None = None,
) -> Figures:
    """Train in a process of its own, and follow it to its end.

    A job that was finished before is not done again; one that was interrupted goes on from its
    newest checkpoint. If this call is left by an exception, the process is ended.

    Args:
        job: what to train; its folder holds the examples.
        on_progress: called with each new line of progress.
        worker: the process's arguments after the interpreter (and ``accelerate launch``).

    Returns:
        The contents of ``metrics.json``.

    Raises:
        RunStopped: this process is to stop. A checkpoint was saved at the step that was under
            way, if that could be done in :data:`SAVE_S`; else the newest one is kept.
        TrainingFailed: the process ended without a model; says why and where its log is.
        MissingPackage: the recipe asks for a package that isn't installed.
        UserError: it is to train over nodes, and nothing says which.
    """
    node = node_in(job)
    for package, setting in _packages(job, node):
        if find_spec(package) is None:
            raise MissingPackage(package, f"training '{job.kind}' sets {setting}")
    prepare(job)
    if not job.metrics_file.exists():
        for pattern in ("failure-*.json", "alive-*", job.stop_file.name):
            for left in job.folder.glob(pattern):
                left.unlink()
        with started(job, worker, node) as process:
            status = _follow(job, process, on_progress, sleep or stop_request().wait)
        if status != 0 or not job.metrics_file.exists():
            raise TrainingFailed(explain(job, status))
    figures: Figures = json.loads(job.metrics_file.read_text(encoding="utf-8"))
    return figures


def prepare(job: TrainingJob) -> None:
    """Write the job's file.

    What an earlier process of the same job left is kept; what another job left is cleared.
    """
    if job.file.exists() and not _same(job):
        for path in (job.checkpoints, job.model_folder):
            shutil.rmtree(path, ignore_errors=True)
        for path in (job.before_file, job.metrics_file, job.progress_file, job.log_file):
            path.unlink(missing_ok=True)
    job.save()


def _same(job: TrainingJob) -> bool:
    try:
        return load_job(job.file).identity() == job.identity()
    except ValueError:
        return False


def node_in(job: TrainingJob) -> TrainingNode | None:
    """Which of the training's nodes a launcher says this is; None where there is one, or Ray's.

    Raises:
        UserError: the launcher has another number of nodes; or there is none, and no Ray cluster.
    """
    nodes = job.settings.devices.nodes
    node = launched_node(os.environ) if nodes > 1 else None
    if node is not None and node.count != nodes:
        raise UserError(f"devices.nodes is {nodes}, but the launcher gives {node.count} nodes")
    if nodes > 1 and node is None and not os.environ.get("RAY_ADDRESS"):
        raise UserError(
            f"devices.nodes {nodes}: there is neither a Ray cluster (RAY_ADDRESS) nor a launcher "
            "that starts `parrot run` on each node (PET_NNODES, PET_NODE_RANK, PET_MASTER_ADDR, "
            "PET_MASTER_PORT)"
        )
    return node


def command_of(
    job: TrainingJob, worker: Sequence[str] = WORKER, node: TrainingNode | None = None
) -> list[str]:
    """The command line: a launcher of several processes where the recipe asks for one.

    One process needs no launcher, and without one a kill by the kernel is seen for what it is.
    """
    devices = job.settings.devices
    if _alone(job):
        return [sys.executable, *worker, str(job.file)]
    if devices.total == 1 and devices.strategy == "ddp":  # the recipe's own arguments say the rest
        launch = ("-m", "accelerate.commands.launch", *job.settings.accelerate_args)
        return [sys.executable, *launch, *worker, str(job.file)]
    by_ray = devices.nodes > 1 and node is None
    module = f"parrot_core.stages.training.{'ray_nodes' if by_ray else 'devices'}"
    return [sys.executable, "-m", module, str(job.file), *worker]


def _alone(job: TrainingJob) -> bool:
    devices = job.settings.devices
    return devices.total == 1 and devices.strategy == "ddp" and not job.settings.accelerate_args


def _packages(job: TrainingJob, node: TrainingNode | None) -> Iterator[tuple[str, str]]:
    """Packages that the recipe's settings need and a plain installation lacks."""
    devices = job.settings.devices
    if devices.strategy.startswith("deepspeed"):
        yield "deepspeed", f"devices.strategy: {devices.strategy}"
    if devices.nodes > 1 and node is None:
        yield "ray", f"devices.nodes: {devices.nodes}"
    for name in job.settings.report_to:
        package = "tensorboardX" if name == "tensorboard" else name
        yield package, f"report_to: [{name}]"


@contextmanager
def started(
    job: TrainingJob, worker: Sequence[str] = WORKER, node: TrainingNode | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The training's process, or what starts those of this machine; it ends with the block."""
    environment = child_environment()
    if node is not None:
        environment[NODE] = node.model_dump_json()
    if _alone(job) and "CUDA_VISIBLE_DEVICES" not in environment:
        environment["CUDA_VISIBLE_DEVICES"] = "0"  # one process, one device
    environment[WATCH_PARENT] = "1"
    environment.setdefault("TENSORBOARD_LOGGING_DIR", str(job.folder / "tensorboard"))
    environment.setdefault("WANDB_DIR", str(job.folder))
    # Threads that spin while they wait starve each other as soon as anything else wants a core:
    # a quarter of the throughput was left beside one other busy process.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with job.log_file.open("ab") as log:
        process = subprocess.Popen(
            command_of(job, worker, node),
            stdin=subprocess.PIPE,  # its end tells the process that we are gone
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    except RunStopped:
        if _phase(job) == "training":
            save_first(job, process)
        raise
    finally:
        _end(process)


def save_first(job: TrainingJob, process: subprocess.Popen[bytes]) -> None:
    """Ask a training that takes steps for a checkpoint, and wait a little for it."""
    job.stop_file.touch()
    with suppress(subprocess.TimeoutExpired):
        process.wait(SAVE_S)


def _phase(job: TrainingJob) -> str | None:
    lines = job.progress_file.read_bytes().splitlines() if job.progress_file.exists() else []
    phases = [line for line in lines if b'"phase"' in line]
    return json.loads(phases[-1])["phase"] if phases else None


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def _follow(
    job: TrainingJob,
    process: subprocess.Popen[bytes],
    on_progress: OnProgress,
    sleep: Callable[[float], None],
) -> int:
    """How the process ended.

    Over nodes it is not waited for much longer once its figures are there: for a node that was lost
    after the last step torch's launcher would wait five minutes.
    """
    position = job.progress_file.stat().st_size if job.progress_file.exists() else 0
    until: float | None = None
    while True:
        status = process.poll()
        position = _tell(job.progress_file, position, on_progress)
        if status is not None:
            return status
        if until is None and job.settings.devices.nodes > 1 and job.metrics_file.exists():
            until = time.monotonic() + END_WITHIN_S
        if until is not None and time.monotonic() >= until:
            return 0
        sleep(POLL_S)


def _tell(path: Path, position: int, on_progress: OnProgress) -> int:
    """Report the whole lines written since ``position``; return the new position."""
    if not path.exists():
        return position
    with path.open("rb") as file:
        file.seek(position)
        whole, newline, _ = file.read().rpartition(b"\n")
    for line in whole.splitlines():
        on_progress(json.loads(line))
    return position + len(whole) + len(newline)


def explain(job: TrainingJob, status: int) -> str:
    """Say in one line why a training ended without a model, and what to change."""
    where = f"(log: {job.log_file})"
    name = f"training '{job.kind}'"
    failure = first_failure(job)
    vanished = sorted(path.name.removeprefix("alive-") for path in job.folder.glob("alive-*"))
    killed = status in (-signal.SIGKILL, 128 + signal.SIGKILL)
    if failure is not None and failure["kind"] == "memory":
        return f"{name} ran out of memory: {_smaller(job)} {where}"
    if failure is not None and failure["kind"] == "disk":
        return f"{name} found no space left on disk for {job.folder}: free some {where}"
    if failure is not None and (failure["kind"] == "known" or not vanished):
        return f"{name} failed: {failure['message']} {where}"
    if killed or (vanished and not _alone(job)):
        who = "" if _alone(job) else f" (process {', '.join(vanished)})"
        said = f"; another process said: {failure['message']}" if failure else ""
        return (
            f"{name} was killed{who}, most likely for want of memory: {_smaller(job)}{said} {where}"
        )
    if status == 0:
        return f"{name} ended at a checkpoint: another node was told to stop {where}"
    if status < 0:
        return f"{name} was ended by {signal.Signals(-status).name} {where}"
    return f"{name} ended with status {status}: {_last_line(job.log_file)} {where}"


def first_failure(job: TrainingJob) -> dict[str, str] | None:
    """What the processes said: the cause if one knew it, else the first to speak.

    When one process dies, its peers fail too, for they miss it.
    """
    paths = sorted(job.folder.glob("failure-*.json"), key=lambda path: path.stat().st_mtime_ns)
    found: list[dict[str, str]] = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return min(found, key=lambda failure: failure["kind"] == "other", default=None)


def _smaller(job: TrainingJob) -> str:
    settings = job.settings
    advice = []
    if settings.per_device_batch_size > 1:
        advice.append(f"lower per_device_batch_size ({settings.per_device_batch_size})")
    advice.append(f"lower max_length ({settings.max_length})")
    if not settings.gradient_checkpointing:
        advice.append("set gradient_checkpointing: true")
    if settings.lora is None:
        advice.append("train with lora: {}")
    if settings.devices.total > 1 and settings.devices.strategy == "ddp":
        advice.append("set devices.strategy: fsdp")
    return ", or ".join(advice)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    meaningful = [line.strip() for line in lines if any(map(str.isalnum, line))]  # no rulers
    return meaningful[-1] if meaningful else "it printed nothing"
