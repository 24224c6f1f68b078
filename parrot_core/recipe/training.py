"""Settings of the three trainings; defaults are the paper's (§4.1.3)."""

from typing import Literal

from pydantic import Field, model_validator

from parrot_core.recipe.base import (
    MODEL_REF,
    OPERATIONAL,
    STRATEGIES,
    Model,
    ModelRef,
    Strategy,
)


class Lora(Model):
    """Low-rank adaptation instead of full fine-tuning; merged when the model is published."""

    r: int = Field(16, ge=1, le=1024, description="Rank.")
    alpha: int = Field(32, ge=1, description="Scale.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the adapter's input.")


class Devices(Model):
    """What a training runs on: processes, one a device, on one or more nodes; what they share."""

    nodes: int = Field(
        1,
        ge=1,
        le=1024,
        description="Machines that train together, through Ray Train, or under a launcher that "
        "starts `parrot run` on each of them (Kubeflow, torchrun).",
    )
    processes: int = Field(
        1, ge=1, le=1024, description="On each node: one a GPU (or share of the CPU)."
    )
    strategy: Literal["ddp", "fsdp", "deepspeed-zero2", "deepspeed-zero3"] = Field(
        "ddp",
        description="ddp: a whole copy each. fsdp and deepspeed-zero3: parameters, gradients and "
        "optimiser states are sharded; deepspeed-zero2: all but the parameters. Over nodes: ddp "
        "and fsdp.",
    )

    @property
    def total(self) -> int:
        """Processes on all nodes."""
        return self.nodes * self.processes

    @model_validator(mode="after")
    def _gathers_its_checkpoints(self) -> "Devices":
        if self.nodes > 1 and self.strategy.startswith("deepspeed"):
            raise ValueError(
                f"{self.strategy} leaves each node a part of a checkpoint; expected ddp or fsdp "
                "where nodes is more than 1"
            )
        return self


class Training(Model):
    """What the three trainings share. Defaults are the paper's (§4.1.3)."""

    template: str = Field(
        "auto",
        min_length=1,
        description=(
            "How turns are spelled. auto: by the tokenizer's own chat template, proved token by "
            "token before anything is trained. A base model without one needs plain (headings and "
            "the end-of-sequence token), chatml, llama3, or the path of a Jinja file."
        ),
    )
    max_length: int = Field(4096, ge=64, description="Tokens a sequence; longer ones are cut.")
    epochs: float = Field(3, gt=0, le=100, description="Passes over the data.")
    max_steps: int | None = Field(None, ge=1, description="Stop after so many optimiser steps.")
    learning_rate: float = Field(3e-5, gt=0, le=1, description="Peak learning rate (AdamW).")
    lr_scheduler: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="Schedule after the warm-up."
    )
    warmup_epochs: float = Field(0.1, ge=0, le=10, description="Linear warm-up, in epochs.")
    batch_size: int = Field(32, ge=1, description="Sequences an optimiser step, over all devices.")
    per_device_batch_size: int = Field(
        4, ge=1, json_schema_extra=OPERATIONAL, description="Sequences a device at once."
    )
    gradient_checkpointing: bool = Field(
        False, json_schema_extra=OPERATIONAL, description="Recompute activations to save memory."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="auto: bf16 where the hardware has it."
    )
    lora: Lora | None = Field(None, description="LoRA settings; null trains every weight.")
    save_steps: int = Field(
        200, ge=1, json_schema_extra=OPERATIONAL, description="Steps between checkpoints."
    )
    checkpoints_in_lake: bool = Field(
        True,
        json_schema_extra=OPERATIONAL,
        description="Keep the newest checkpoint in the lake too, so that another machine can go "
        "on; it is removed when the model is published.",
    )
    devices: Devices = Field(
        Devices(), json_schema_extra=OPERATIONAL, description="Processes, and how they share."
    )
    accelerate_args: tuple[str, ...] = Field(
        (),
        json_schema_extra=OPERATIONAL,
        description="More `accelerate launch` arguments, for what `devices` can't say.",
    )
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        (),
        json_schema_extra=OPERATIONAL,
        description="Send curves there too, while the training runs.",
    )
    max_examples: int | None = Field(None, ge=1, description="Train on at most so many examples.")
    eval_examples: int = Field(
        200, ge=0, description="Held-out examples for the loss before and after; 0 skips it."
    )


class Supervised(Training):
    """What the two trainings on sessions share."""

    long_sessions: Literal["windows", "cut"] = Field(
        "windows",
        description=(
            "Sessions beyond max_length. windows: several sequences, each begins at a user turn, "
            "every turn is learned once, with at least half of max_length for its history. cut: "
            "the turns that fit from the start, the others are lost."
        ),
    )
    packing: bool = Field(
        False,
        description="Lay several sessions into one sequence, apart by their positions: no padding "
        "is computed. batch_size then counts such sequences. Pays on a GPU.",
    )


class TrainAsk(Supervised):
    """Parrot-Ask: loss on the user's tokens only (paper §3.1)."""

    base: ModelRef | None = Field(None, description=f"{MODEL_REF} The stage train-ask needs it.")
    max_steps: int | None = Field(
        None,
        ge=0,
        description=(
            "Stop after so many optimiser steps. 0 trains nothing: the base is published with the "
            "asker's template, and writes bare user turns."
        ),
    )
    learn_first_query: bool = Field(
        True, description="Whether the opening query counts towards the loss."
    )
    end_mark: bool = Field(
        False,
        description=(
            "After a session's last answer the asker learns to write a mark instead of a query, "
            "which then ends a dialogue (`asker_ended`); not where a session was cut, is a part "
            "with more behind it, or ends in an unanswered query. The paper's doesn't."
        ),
    )
    source: str = Field(
        "*",
        min_length=1,
        description="Learn only from sessions of a source whose name fits this pattern.",
    )


class TrainSft(Supervised):
    """Parrot-Chat SFT: loss on the assistant's tokens only (paper §3.2)."""

    base: ModelRef | None = Field(None, description=f"{MODEL_REF} The stage train-sft needs it.")
    data: Literal["parrot", "conversations"] = Field(
        "parrot",
        description=(
            "parrot: the synthesized dialogues. conversations: real ones, the comparison sets of "
            "the paper's Table 4, with source, split and max_examples."
        ),
    )
    source: str = Field(
        "*",
        min_length=1,
        description=(
            "Train only on what comes from a source whose name fits this pattern: sessions of it, "
            "or dialogues seeded from it."
        ),
    )
    split: Literal["seed", "train"] = Field(
        "seed",
        description=(
            "Which real conversations; seed: those whose opening queries seed the dialogues, so "
            "that the sets compared begin alike."
        ),
    )
    max_turns: int | None = Field(None, ge=1, description="Train on the first so many turns only.")
    heldout_fraction: float = Field(
        0.02, ge=0, lt=0.5, description="Share of sessions that only measure the loss."
    )


class TrainDpo(Training):
    """Parrot-Chat DPO on CaPO's pairs, from the SFT model (paper §3.3)."""

    learning_rate: float = Field(1e-5, gt=0, le=1, description="Peak learning rate (AdamW).")
    epochs: float = Field(1, gt=0, le=100, description="Passes over the pairs.")
    beta: float = Field(0.1, gt=0, le=10, description="β of the DPO loss (Rafailov et al. 2023).")
    strategies: tuple[Strategy, ...] = Field(
        STRATEGIES,
        description="Negatives to train on (Table 6); those beyond the paper's must be named, too.",
    )
    share_prefix: bool = Field(
        True,
        json_schema_extra=OPERATIONAL,
        description=(
            "Compute the prompt and the chosen answer that a query's pairs share once. A device "
            "then takes `per_device_batch_size` queries with all their negatives at once. Needs "
            "full attention through sdpa; the results differ by rounding only."
        ),
    )
    heldout_fraction: float = Field(
        0.1, ge=0, lt=0.5, description="Share of queries whose pairs only measure the margin."
    )
