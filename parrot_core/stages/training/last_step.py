"""Where a training ends: at its last step, or at the one in which it is asked to stop."""

from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from parrot_core.stages.training.job import TrainingJob


class StopsAtLastStep(Trainer):
    """Resumed from a checkpoint at its last step, a trainer ends with that checkpoint's weights.

    Transformers' own looks for its end behind a step, and so takes one more where the last
    checkpoint falls amid an epoch.
    """

    def _run_epoch(self, *arguments: Any, **options: Any) -> None:
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return
        super()._run_epoch(*arguments, **options)  # type: ignore[no-untyped-call]


class StopsWhenAsked(TrainerCallback):
    """Saves a checkpoint at the step in which the job's stop file is seen, and ends there."""

    def __init__(self, job: TrainingJob, accelerator: Any) -> None:
        self._file, self._accelerator = job.stop_file, accelerator
        self.stopped = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """All processes end at the same step, whichever of them has seen the file."""
        if self._file.exists():
            self._accelerator.set_trigger()
        if self._accelerator.check_trigger():
            self.stopped = control.should_save = control.should_training_stop = True
