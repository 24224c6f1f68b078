"""Optimiser steps, warm-up and gradient accumulation, computed from a training's settings."""

import math
from dataclasses import dataclass

from parrot_core.errors import TrainingFailed
from parrot_core.recipe import TrainDpo, Training


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a training's examples divide into optimiser steps."""

    total_steps: int
    warmup_steps: int
    per_device: int  # sequences a device at once
    accumulation: int  # forward passes a step

    @staticmethod
    def of(settings: Training, examples: int, processes: int) -> "Schedule":
        """Compute the schedule.

        Args:
            settings: ``batch_size`` counts sequences a step over all devices.

        Raises:
            TrainingFailed: the batch can't be shared out equally.
        """
        if settings.batch_size % processes:
            raise TrainingFailed(
                f"batch_size {settings.batch_size} can't be shared by {processes} processes; "
                f"expected a multiple of {processes}"
            )
        share = settings.batch_size // processes
        most = min(settings.per_device_batch_size * _sequences(settings), share)
        per_device = max(n for n in range(1, most + 1) if share % n == 0)
        steps_per_epoch = max(1, examples / settings.batch_size)
        total = max(1, math.ceil(steps_per_epoch * settings.epochs - 1e-9))
        total = min(total, settings.max_steps or total)
        warmup = min(round(steps_per_epoch * settings.warmup_epochs), total - 1)
        return Schedule(total, warmup, per_device, share // per_device)


def _sequences(settings: Training) -> int:
    """Examples that a device computes as one sequence: a query's pairs share theirs."""
    if isinstance(settings, TrainDpo) and settings.share_prefix:
        return len(settings.strategies)
    return 1
