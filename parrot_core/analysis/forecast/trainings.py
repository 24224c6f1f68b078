"""What the trainings of a recipe will take: memory of a device, tokens, hours of GPUs.

The same arithmetic for all three: how many examples, how long, how many passes; then the formulas
of ``training/estimate``. Each figure that is assumed says so in the :class:`Basis`.
"""

from dataclasses import dataclass

from parrot_core.lake.run import Run
from parrot_core.recipe import TrainDpo
from parrot_core.stages.forecasting import MESSAGE_TOKENS, Basis, Examples
from parrot_core.stages.training.estimate import (
    Memory,
    flops_of,
    hours_of,
    memory_of,
    tokens_of_pair,
)
from parrot_core.stages.training.shapes import shape_of


@dataclass(frozen=True, slots=True)
class TrainingForecast:
    """One training that is still to do; None where the model's shape isn't known here."""

    stage: str
    model: str
    devices: int
    strategy: str
    examples: int
    tokens: int  # computed over all epochs
    parameters: int | None
    memory: Memory | None  # of one device
    total_bytes: float | None
    hours: float | None


def training_forecast(run: Run, basis: Basis, stage: str, work: Examples) -> TrainingForecast:
    """What a training will take of devices and time."""
    settings, examples = work.settings, work.number
    if settings.max_examples is not None:
        examples = min(examples, settings.max_examples)
    passes = examples * settings.epochs
    if settings.max_steps is not None:
        passes = min(passes, settings.max_steps * settings.batch_size)
    length = min(work.tokens, settings.max_length)
    if isinstance(settings, TrainDpo):
        answer = min(basis.answer.value + MESSAGE_TOKENS, length)
        length = tokens_of_pair(settings, length, answer)
    tokens = passes * length
    shape = shape_of(work.base, run)
    devices = settings.devices.total
    reserve = basis.gpu_reserve.value * 1e9
    memory = memory_of(settings, shape, reserve, work.longest_answer) if shape else None
    hours = None
    if shape is not None:
        flops = flops_of(settings, shape, tokens)
        hours = hours_of(flops, devices, basis.gpu_peak.value * 1e12, basis.gpu_used.value)
    return TrainingForecast(
        stage,
        work.base,
        devices,
        settings.devices.strategy,
        round(examples),
        round(tokens),
        shape.parameters if shape else None,
        memory,
        memory.total if memory else None,
        hours,
    )
