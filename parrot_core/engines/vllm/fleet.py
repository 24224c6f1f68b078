"""The vLLM processes of a stage: one a replica, each on its own cores or GPUs."""

import os
from collections.abc import Iterator, Mapping, Sequence

from parrot_core.engines.vllm.replicas import gpus_per_replica, share_gpus
from parrot_core.engines.vllm.server import (
    VllmServer,
    cpu_environment,
    is_cpu_build,
    visible_gpus,
)
from parrot_core.lake.run import Run
from parrot_core.models.references import resolve_model
from parrot_core.recipe import VllmEngine


def all_of(servers: Mapping[str, Sequence[VllmServer]]) -> Iterator[VllmServer]:
    return (server for replicas in servers.values() for server in replicas)


def start_servers(
    run: Run,
    local: Mapping[str, VllmEngine],
    models: Mapping[str, str],
    servers: dict[str, list[VllmServer]],
) -> None:
    """Start the processes of these engines; they are in ``servers`` as soon as they run.

    Args:
        local: the engines by name. Those of the same model and settings share their processes.
        models: what journal and provenance call each engine's model.
        servers: filled, by :func:`server_key`, so that the caller can end what was started.
    """
    distinct = {server_key(settings): name for name, settings in reversed(list(local.items()))}
    devices = _devices([local[name] for name in distinct.values()])
    for key, name in distinct.items():
        settings = local[name]
        servers[key] = []
        for replica in range(settings.replicas):
            number = f"-{replica}" if settings.replicas > 1 else ""
            log = f"vllm-{name}{number}.{os.getpid()}.log"  # others may serve it here, too
            servers[key].append(
                VllmServer(
                    _without(settings, devices[0]),
                    str(resolve_model(settings.model, run)),
                    models[name],
                    run.work_dir / "logs" / log,
                    devices.pop(0),
                )
            )


def _without(settings: VllmEngine, given: Mapping[str, str]) -> VllmEngine:
    """Settings whose ``CUDA_VISIBLE_DEVICES`` gives way to a replica's part of it."""
    if "CUDA_VISIBLE_DEVICES" not in given:
        return settings
    kept = {name: value for name, value in settings.env.items() if name not in given}
    return settings.model_copy(update={"env": kept})


def _devices(engines: Sequence[VllmEngine]) -> list[dict[str, str]]:
    """The environment that gives each replica of each engine its own cores or GPUs, in order.

    Engines of one replica share the GPUs as the recipe's arguments and environment say.
    """
    if is_cpu_build():
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        total = sum(settings.replicas for settings in engines)
        return [cpu_environment(position, total, cores) for position in range(total)]
    environments: list[dict[str, str]] = []
    for settings in engines:
        if settings.replicas == 1:
            environments.append({})
            continue
        gpus = visible_gpus(settings.env.get("CUDA_VISIBLE_DEVICES"))
        each = gpus_per_replica(settings.args)
        for share in share_gpus(settings.model, gpus, settings.replicas, each):
            environments.append({"CUDA_VISIBLE_DEVICES": share})
    return environments


def server_key(settings: VllmEngine) -> str:
    """The same for engines that share their processes."""
    return settings.model_dump_json(exclude={"limits", "price"})
