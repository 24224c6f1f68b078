"""Train over nodes of a Ray cluster (``python -m …training.ray_nodes job.json``).

The first node is this machine, where the stage runs. Ray Train brings the others, all at once or
none, and ends them with this process. What trains is the same on every node: ``devices``.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parrot_core.errors import TrainingFailed
from parrot_core.models.references import model_cache
from parrot_core.stages.training.job import TrainingJob, load_job, write_json
from parrot_core.stages.training.joining import forget_copies
from parrot_core.stages.training.launch import WORKER, explain, first_failure, started
from parrot_core.stages.training.nodes import NODE, RAY_NODE, TrainingNode

NODES_WITHIN_S = 600.0
"""How long nodes that are not there, or were lost, are waited for."""
END_WITHIN_S = 15.0
"""How long the others may take to end after the first node has."""
SAID_BY_RAY = 10_000
"""In the name of the failure that Ray tells of: no process has that rank."""


def train_over_ray(job: TrainingJob, worker: Sequence[str]) -> int:
    """Train on this node and on others of the cluster; returns this node's exit status."""
    import ray

    address = os.environ["RAY_ADDRESS"]  # in a stage's worker on a cluster, of that cluster
    if address.startswith("ray://"):
        raise TrainingFailed(
            f"devices.nodes: this machine is the first node, but {address} is a cluster that it is "
            "no part of; expected HOST:PORT or auto, on one of the cluster's nodes"
        )
    ray.init(address, namespace="parrot", log_to_driver=False, configure_logging=False)
    takes = _takes(job, ray.nodes())
    # Ray finds this machine's node by its address, which several may share on one machine.
    here = os.environ.get(RAY_NODE) or ray.get_runtime_context().get_node_id()
    wait_for_nodes(job, takes, here)
    first = TrainingNode(
        rank=0,
        count=job.settings.devices.nodes,
        address=ray.util.get_node_ip_address(),
        port=_free_port(),
    )
    command = [sys.executable, "-m", "parrot_core.stages.training.devices", str(job.file), *worker]
    environment = {**os.environ, NODE: first.model_dump_json()}
    local = subprocess.Popen(command, env=environment)  # ends with our process group

    def bring() -> None:
        try:
            _others(job, worker, first, takes, here).fit()
        except Exception as error:  # whatever Ray ran into ends the training
            write_json(job.failure_file(SAID_BY_RAY), _said(error))
            local.terminate()

    others = threading.Thread(target=bring, daemon=True)
    others.start()
    status = local.wait()
    others.join(END_WITHIN_S)
    return status


def _others(
    job: TrainingJob,
    worker: Sequence[str],
    first: TrainingNode,
    takes: Mapping[str, float],
    here: str,
) -> Any:
    """Ray's trainer, with one worker for each other node."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    return TorchTrainer(
        train_on_node,
        train_loop_config={
            "job": job.model_dump_json(),
            "worker": list(worker),
            "first": first.model_dump_json(),
        },
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(
            num_workers=first.count - 1,
            use_gpu="GPU" in takes,
            resources_per_worker=dict(takes),
            placement_strategy="STRICT_SPREAD",
            label_selector={"ray.io/node-id": f"!{here}"},
        ),
        # The shard's attempts begin again; what Ray itself would store stays on this machine.
        run_config=RunConfig(
            storage_path=str(job.folder / "ray"),
            failure_config=FailureConfig(max_failures=0),
        ),
    )


def train_on_node(config: Mapping[str, Any]) -> None:
    """Another node's part: what a worker of Ray Train does."""
    import ray.train

    job = TrainingJob.model_validate_json(config["job"])
    first = TrainingNode.model_validate_json(config["first"])
    node = first.model_copy(update={"rank": ray.train.get_context().get_world_rank() + 1})
    # The same name each time: what a killed worker left is removed by the next.
    folder = model_cache().parent / "nodes" / f"{job.data_sha256[:12]}-{node.rank}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = job.model_copy(update={"folder": folder})
    job.save()
    try:
        with started(job, config["worker"], node) as process:
            status = process.wait()
        if status != 0:
            why, said = f"node {node.rank}: {explain(job, status)}", first_failure(job)
            missed_others = said is not None and said["kind"] == "other"
            raise RuntimeError(why) if missed_others else TrainingFailed(why)
    finally:
        forget_copies(job)


def _takes(job: TrainingJob, nodes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What a node's processes take of it: GPUs, or CPUs in a cluster that has no GPU."""
    gpus = any(node["Alive"] and node["Resources"].get("GPU") for node in nodes)
    return {"GPU" if gpus else "CPU": float(job.settings.devices.processes)}


def wait_for_nodes(job: TrainingJob, takes: Mapping[str, float], here: str) -> None:
    """Return when the cluster has the other nodes; say so before waiting for any.

    Raises:
        TrainingFailed: they are not there after :data:`NODES_WITHIN_S`.
    """
    import ray

    wanted, until, told = job.settings.devices.nodes - 1, time.monotonic() + NODES_WITHIN_S, False
    while True:
        alive = [n for n in ray.nodes() if n["Alive"] and n["NodeID"] != here]
        fit = [n for n in alive if all(n["Resources"].get(r, 0) >= v for r, v in takes.items())]
        if len(fit) >= wanted:
            return
        had = ", ".join(f"{r} {v:g}" for r, v in takes.items())
        said = (
            f"devices.nodes {wanted + 1}: needs {wanted} more with {had} each, and the Ray cluster "
            f"has {len(fit)} beside this one"
        )
        if time.monotonic() > until:
            raise TrainingFailed(said)
        if not told:
            told = True
            waiting = f"{said}; waiting up to {NODES_WITHIN_S / 60:.0f} minutes for them"
            job.tell({"warning": waiting})
        time.sleep(1.0)


def _said(error: BaseException) -> dict[str, str]:
    """What a worker of Ray Train failed of, in one line."""
    failures = getattr(error, "worker_failures", None) or {0: error}
    first = next(iter(failures.values()))
    cause = getattr(first, "_base_exc", first)
    if isinstance(cause, TrainingFailed):
        return {"kind": "known", "message": str(cause)}
    text = " ".join(str(cause).split())
    return {"kind": "other", "message": f"Ray Train: {text[:500]}"}


def _free_port() -> int:
    with socket.create_server(("", 0)) as found:
        return int(found.getsockname()[1])


def main(arguments: list[str]) -> int:
    """Train as ``job.json`` says; returns the exit status."""
    job = load_job(Path(arguments[0]))
    try:
        return train_over_ray(job, tuple(arguments[1:] or WORKER))
    except (TrainingFailed, ConnectionError) as error:
        write_json(job.failure_file(SAID_BY_RAY), {"kind": "known", "message": str(error)})
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
