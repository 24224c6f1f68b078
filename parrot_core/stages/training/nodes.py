"""Which node of a training over nodes this machine is: as a launcher says in the environment.

A launcher (Kubeflow's, ``torchrun``) starts the same ``parrot run`` once on each node. The first
node's does the stages; the others join the trainings.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from parrot_core.errors import UserError

NODE = "PARROT_NODE"
"""Tells the process that starts a node's part of a training which node it is, as JSON."""

RAY_NODE = "PARROT_RAY_NODE"
"""Tells a training which node of a Ray cluster its stage's worker is on."""

VARIABLES = {
    "torchrun": ("GROUP_RANK", "GROUP_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    "PET_*": ("PET_NODE_RANK", "PET_NNODES", "PET_MASTER_ADDR", "PET_MASTER_PORT"),
    "RANK and WORLD_SIZE": ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
}
"""Where launchers say a node's number, how many there are, and the first one's address."""


class TrainingNode(BaseModel):
    """One of the machines that train together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(ge=0)
    count: int = Field(ge=1)
    address: str = Field(min_length=1, description="Of the first node, as the others reach it.")
    port: int = Field(ge=1, le=65535, description="A free one of the first node.")

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "TrainingNode":
        if self.rank >= self.count:
            raise ValueError(f"node {self.rank} is none of {self.count} that count from 0")
        return self


def launched_node(environment: Mapping[str, str]) -> TrainingNode | None:
    """The node that a launcher says this is; None without a launcher, or with one node.

    Raises:
        UserError: its variables make no sense, or it starts more than one process a node.
    """
    by_torchrun = "TORCHELASTIC_RUN_ID" in environment
    for launcher, names in VARIABLES.items():
        if names[0] not in environment or names[1] not in environment:
            continue
        if launcher == "torchrun" and not by_torchrun:
            continue
        values = [environment.get(name, "") for name in names]
        if values[1] == "1":
            return None
        if by_torchrun and environment.get("LOCAL_WORLD_SIZE", "1") != "1":
            raise UserError(
                "torchrun starts more than one `parrot run` on this node; expected "
                "--nproc-per-node 1: devices.processes says how many train on it"
            )
        try:
            node = TrainingNode.model_validate(
                dict(zip(TrainingNode.model_fields, values, strict=True))
            )
        except ValidationError as error:
            shown = ", ".join(f"{n}={v}" for n, v in zip(names, values, strict=True))
            why = error.errors()[0]
            place = dict(zip(TrainingNode.model_fields, names, strict=True))
            where = place[str(why["loc"][0])] if why["loc"] else names[0]
            raise UserError(f"the launcher's variables ({shown}): {where}: {why['msg']}") from None
        # torchrun itself listens at its port; its processes may meet at the next one.
        return node.model_copy(update={"port": node.port + 1}) if by_torchrun else node
    return None
