"""What the trainings of a recipe will take: memory of a device, tokens, hours of GPUs.

The same arithmetic for all three: how many examples, how long, how many passes; then the formulas
of ``training/estimate``. Each figure that is assumed says so in the :class:`Basis`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from parrot_core.analysis.forecast.basis import Basis
from parrot_core.lake.run import Run
from parrot_core.recipe import TrainDpo, Training
from parrot_core.stages.training.estimate import (
    Memory,
    flops_of,
    hours_of,
    memory_of,
    tokens_of_pair,
)
from parrot_core.stages.training.shapes import shape_of

MESSAGE_TOKENS = 6.0
"""What a chat template adds to a message."""
PAPER_SESSIONS = 70_000
"""ShareGPT sessions that the paper trained on (§4.1.3), where the recipe sets no limit."""


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


def training_forecasts(
    run: Run, basis: Basis, wanted: Collection[str]
) -> Iterator[TrainingForecast]:
    """The trainings among the wanted stages that the run has yet to do, in order."""
    recipe = run.recipe
    parts: tuple[tuple[str, str, Training, str | None], ...] = (
        ("train-ask", "parrot-ask", recipe.train_ask, recipe.train_ask.base),
        ("train-sft", "parrot-sft", recipe.train_sft, recipe.train_sft.base),
        ("train-dpo", "parrot-chat", recipe.train_dpo, "lake:parrot-sft"),
    )
    for stage, output, settings, base in parts:
        to_do = not run.lake.published("model", output, run.version_of(output))
        if base and stage in wanted and to_do:
            yield _forecast(run, basis, stage, settings, base)


def _forecast(
    run: Run, basis: Basis, stage: str, settings: Training, base: str
) -> TrainingForecast:
    examples, each = _examples(run, basis, stage)
    if settings.max_examples is not None:
        examples = min(examples, settings.max_examples)
    passes = examples * settings.epochs
    if settings.max_steps is not None:
        passes = min(passes, settings.max_steps * settings.batch_size)
    length = min(each, settings.max_length)
    if isinstance(settings, TrainDpo):
        answer = min(basis.answer.value + MESSAGE_TOKENS, length)
        length = tokens_of_pair(settings, length, answer)
    tokens = passes * length
    shape = shape_of(base, run)
    devices = settings.devices.processes
    reserve = basis.gpu_reserve.value * 1e9
    memory = memory_of(settings, shape, reserve, _longest_answer(run)) if shape else None
    hours = None
    if shape is not None:
        flops = flops_of(settings, shape, tokens)
        hours = hours_of(flops, devices, basis.gpu_peak.value * 1e12, basis.gpu_used.value)
    return TrainingForecast(
        stage,
        base,
        devices,
        settings.devices.strategy,
        round(examples),
        round(tokens),
        shape.parameters if shape else None,
        memory,
        memory.total if memory else None,
        hours,
    )


def _longest_answer(run: Run) -> int:
    """Tokens that an answer of a pair may have: the dialogue's, or a negative."""
    recipe = run.recipe
    longest = max(recipe.synthesize.answer.max_tokens, recipe.capo.sampling.max_tokens)
    return longest + round(MESSAGE_TOKENS)


def _examples(run: Run, basis: Basis, stage: str) -> tuple[float, float]:
    """How many examples, and how many tokens each has on average."""
    turn = basis.follow_up.value + basis.answer.value + 2 * MESSAGE_TOKENS
    settings, chance = run.recipe.synthesize, basis.goes_on.value
    turns = sum(chance**n for n in range(settings.max_turns))
    if stage == "train-ask":
        return _rows(run, "conversations", PAPER_SESSIONS), basis.session_turns.value * turn
    if stage == "train-sft":
        kept = run.recipe.train_sft.max_turns
        return (
            _rows(run, "parrot", run.recipe.seeds.limit * basis.kept.value),
            min(turns, kept or turns) * turn,
        )
    pairs = run.recipe.select.limit * len(run.recipe.train_dpo.strategies)
    return _rows(run, "preferences", pairs), (turns + 1) / 2 * turn


def _rows(run: Run, dataset: str, otherwise: float) -> float:
    version = run.version_of(dataset)
    if run.lake.published("dataset", dataset, version):
        return run.lake.manifest("dataset", dataset, version).accounting.rows_out
    return otherwise
