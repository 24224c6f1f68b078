"""The cluster that brings a stage's workers: which one, and what each worker takes of it."""

from typing import Annotated, Literal

from pydantic import Field

from parrot_core.recipe.base import Model


class WorkerResources(Model):
    """What one worker of a stage takes of a node."""

    cpus: float = Field(1, ge=0, le=4096, description="CPUs.")
    gpus: float | None = Field(
        None,
        ge=0,
        le=1024,
        description="GPUs. Unset: those of the models it serves, or of its training's processes; "
        "0 where these run on CPUs.",
    )
    custom: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Resources of your own, by their names in Ray, e.g. {fast_disk: 1}."
    )


class Cluster(Model):
    """A Ray cluster. Each worker of a stage is a Ray task there, and pulls shards."""

    engine: Literal["ray"] = Field("ray", description="What brings the workers.")
    address: str = Field(
        "auto",
        pattern=r"^(auto|(ray://)?[A-Za-z0-9._-]+:\d{1,5}|(ray://)?\[[0-9A-Fa-f:.]+\]:\d{1,5})$",
        description="auto: the cluster that this machine belongs to. HOST:PORT: the same, by its "
        "head. ray://HOST:10001: from a machine outside of it.",
    )
    autoscales: bool = Field(
        False,
        description="Nodes come when they are asked for: what no node has now is waited for.",
    )
    resources: dict[str, WorkerResources] = Field(
        {}, description="What a worker of a stage takes, by the stage's name."
    )
