"""A training whose last step is done takes no further one."""

from typing import Any

from transformers import Trainer


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
