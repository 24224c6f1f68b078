"""A Ray cluster as the driver of a run sees it: connected to, its nodes, what they have.

Ray is imported only by a run that asks for it.
"""

import importlib.util
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from parrot_core.engines.vllm.replicas import gpus_per_replica
from parrot_core.errors import UserError, WorkersLost
from parrot_core.execution.cluster_worker import machine_look, not_shared
from parrot_core.lake.run import Run
from parrot_core.recipe import Cluster, VllmEngine, WorkerResources
from parrot_core.stages.base import Stage
from parrot_core.version import __version__

LOOK_S = 60.0
"""Longest wait for what the nodes say of themselves; a node that says nothing gets its chance."""
ANSWER_S = 5.0
CONNECTS = 3
"""Tries: a busy head may need longer to let a driver in than Ray's client waits."""
HEAD_AWAY_S = 30.0
"""So long may the head be away. After 60 s Ray would end this process without a word."""
HEAD_EVERY_S = 3.0


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster that is up."""

    id: str
    name: str
    resources: Mapping[str, float]

    def has(self, needs: Mapping[str, float]) -> bool:
        """Whether it could ever give so much."""
        return all(self.resources.get(name, 0.0) >= much for name, much in needs.items())

    def room(self, needs: Mapping[str, float]) -> int:
        """How many workers could be on it at once."""
        shares = [self.resources.get(name, 0.0) // much for name, much in needs.items() if much]
        return int(min(shares, default=1))

    def __str__(self) -> str:
        had = {
            n: v for n, v in self.resources.items() if not n.startswith(("node:", "memory", "obj"))
        }
        return f"{self.name}: {_in_words(had)}"


def check_address(address: str) -> None:
    """Find out cheaply what is wrong with a cluster.

    Raises:
        UserError: Ray isn't installed, or nothing answers.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError(
            "cluster: Ray isn't installed: pip install 'parrot-factory[ray]', or leave it out"
        )
    if address != "auto" and not _answers(address):
        raise UserError(f"cluster.address: nothing answers at {address}")


@contextmanager
def connected(address: str) -> Iterator["Head"]:
    """Be a driver on the cluster until the block ends.

    Raises:
        UserError: see :func:`check_address`; or versions over there differ from those here.
    """
    check_address(address)
    import ray

    if ray.is_initialized():  # by who called us
        yield Head(ray.get_runtime_context().gcs_address)
        return
    for left in range(CONNECTS - 1, -1, -1):
        try:
            with _our_signals():
                ray.init(address, namespace="parrot", log_to_driver=False, configure_logging=False)
            break
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            if not left:
                said = (str(error).strip() or type(error).__name__).splitlines()[-1]
                raise UserError(f"cluster.address {address}: {said}") from None
    try:
        remote = address.startswith("ray://")
        yield Head(address if remote else ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()


class Head:
    """The cluster's head, looked after: Ray itself waits for one that is gone."""

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._seen = self._next = clock()

    def check(self) -> None:
        """Look now and then whether it answers.

        Raises:
            WorkersLost: it hasn't for ``HEAD_AWAY_S``.
        """
        now = self._clock()
        if now < self._next:
            return
        self._next = now + HEAD_EVERY_S
        if _answers(self._address):
            self._seen = now
        elif now - self._seen >= HEAD_AWAY_S:
            raise WorkersLost(
                f"the Ray head at {self._address} is gone; what is done is kept, and the same "
                "command goes on once a cluster is there"
            )


def needs_of(run: Run, stage: Stage, cluster: Cluster) -> dict[str, float]:
    """What a worker of the stage takes of its node, by Ray's names."""
    wanted = cluster.resources.get(stage.name, WorkerResources())
    gpus = _gpus(run, stage) if wanted.gpus is None else wanted.gpus
    return {"CPU": wanted.cpus, "GPU": gpus, **wanted.custom}


def _gpus(run: Run, stage: Stage) -> int:
    """GPUs of its training's processes, or of the models it serves; these may share them."""
    if stage.kind == "model":
        devices = getattr(run.recipe, stage.name.replace("-", "_")).devices
        return int(devices.processes)
    served = [run.recipe.engines.get(name) for name in stage.engines(run)]
    models = [each for each in served if isinstance(each, VllmEngine)]
    return max((each.replicas * gpus_per_replica(each.args) for each in models), default=0)


def fitting_nodes(stage: str, needs: Mapping[str, float], autoscales: bool) -> list[Node]:
    """The nodes that can give a worker what it takes.

    Raises:
        UserError: none can, and none will come.
    """
    import ray

    nodes = [
        Node(each["NodeID"], each["NodeManagerAddress"], each["Resources"])
        for each in ray.nodes()
        if each["Alive"]
    ]
    found = [node for node in nodes if node.has(needs)]
    if not found and not autoscales:
        raise UserError(
            f"stage '{stage}': a worker takes {_in_words(needs)}, and no node of the cluster has "
            f"that ({'; '.join(map(str, nodes))}); cluster.resources.{stage} says what a worker "
            "takes, e.g. {gpus: 0} for models on CPUs"
        )
    return found


def check_nodes(nodes: Sequence[Node], lake: str, proof: str, keys: Sequence[str]) -> None:
    """Look at the nodes before a worker is sent to any.

    Args:
        nodes: where workers may come to be.
        lake: as the workers will open it.
        proof: a file that was just written there.
        keys: variables that workers need.

    Raises:
        UserError: a node lacks this version of Parrot or the lake, or all lack a key.
    """
    said = _looked(nodes, lake, proof, keys)
    for node, told in said:
        if error := told.get("error"):
            raise UserError(f"node {node}: {error}")
        if told["version"] != __version__:
            raise UserError(f"node {node} has Parrot {told['version']}, this machine {__version__}")
    if strangers := [node for node, told in said if not told["shared"]]:
        raise UserError(not_shared(lake, strangers))
    for key in keys:
        if said and all(key in told["missing"] for _, told in said):
            raise UserError(f"no node has the environment variable {key}: set it where Ray starts")


def _looked(
    nodes: Sequence[Node], lake: str, proof: str, keys: Sequence[str]
) -> list[tuple[str, dict[str, Any]]]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(machine_look())
    asked = {}
    for node in nodes:
        here = NodeAffinitySchedulingStrategy(node.id, soft=False)
        chosen = look.options(
            name=f"look at {node.name}", num_cpus=0, scheduling_strategy=here, max_retries=0
        )
        asked[chosen.remote(lake, proof, list(keys))] = node.name
    ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=LOOK_S) if asked else ((), ())
    said = []
    for ref in ready:
        try:
            said.append((asked[ref], ray.get(ref)))
        except ray.exceptions.RayError:
            continue  # it went meanwhile
    return said


@contextmanager
def _our_signals() -> Iterator[None]:
    """Ray puts a handler of its own for SIGTERM into the main thread; ours stays."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _answers(address: str) -> bool:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


def _in_words(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {much:g}" for name, much in resources.items() if much) or "nothing"
