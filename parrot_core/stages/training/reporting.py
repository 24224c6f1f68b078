"""What the training process writes as it goes: phases, steps, figures, failures."""

import time
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from parrot_core.stages.training.between_nodes import other_nodes
from parrot_core.stages.training.checkpoints import seal
from parrot_core.stages.training.job import TrainingJob

DPO_FIGURES = ("rewards/margins", "rewards/accuracies", "rewards/chosen", "rewards/rejected")
CURVE_FIGURES = ("loss", "learning_rate", "tokens_per_s", "mean_token_accuracy", *DPO_FIGURES)
"""What is told of each step, in the progress file and in the manifest."""


class Reporter(TrainerCallback):
    """Appends a JSON line to the progress file for each phase and each optimiser step."""

    def __init__(self, job: TrainingJob, main: bool = True) -> None:
        """Report for ``job``; only the main process of a training does."""
        self._job = job
        self._main = main
        self._seen: tuple[float, float] | None = None  # time and tokens at the last step
        self._phases: list[tuple[str, float]] = []  # each with its start

    def phase(self, name: str) -> None:
        """Say what the process does now."""
        self._phases.append((name, time.monotonic()))
        self._write({"phase": name})

    def phase_seconds(self) -> dict[str, float]:
        """How long each phase took, the last one up to now."""
        ends = [*(start for _, start in self._phases[1:]), time.monotonic()]
        return {
            name: round(end - start, 2)
            for (name, start), end in zip(self._phases, ends, strict=True)
        }

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._seen = (time.monotonic(), 0.0)
        self._write({"step": state.global_step, "total_steps": state.max_steps})

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return
        now, tokens = time.monotonic(), logs.get("num_tokens", 0.0)
        if self._seen is not None and now > self._seen[0]:
            speed = (tokens - self._seen[1]) / (now - self._seen[0])
            # Into the trainer's own log too: checkpoints carry it, so a resumed curve is whole.
            logs["tokens_per_s"] = state.log_history[-1]["tokens_per_s"] = speed
        self._seen = (now, tokens)
        figures = {name: logs[name] for name in CURVE_FIGURES if name in logs}
        self._write({"step": state.global_step, "total_steps": state.max_steps, **figures})

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Seal the checkpoint, once every process has written its part."""
        checkpoint = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        PartialState().wait_for_everyone()
        if nodes := other_nodes():
            nodes.collect(checkpoint)
        if self._main:
            seal(checkpoint)

    def _write(self, line: dict[str, Any]) -> None:
        if self._main:
            self._job.tell(line)
