"""What the metrics of a stage say of trainings and of cleaning rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from parrot_core.lake.metrics import (
    CleaningMetrics,
    RuleExample,
    TrainingExamples,
    TrainingMetrics,
)
from parrot_core.monitor.state import StageState


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """One figure over optimiser steps."""

    name: str
    points: tuple[tuple[float, float], ...]  # (step, value)


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What one training says of itself: held-out figures before and after, curves, examples."""

    stage: StageState
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    curves: tuple[TrainingCurve, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)  # every other number, by path
    examples: TrainingExamples | None = None

    @property
    def pairs(self) -> tuple[tuple[str, float | None, float | None], ...]:
        """(figure, before, after) on held-out data."""
        names = dict.fromkeys([*self.before, *self.after])
        return tuple((name, self.before.get(name), self.after.get(name)) for name in names)


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What one cleaning rule did in a stage."""

    stage: str
    rule: str
    count: int
    examples: tuple[RuleExample, ...] = ()


def rule_facts(stage: StageState) -> Iterable[RuleFacts]:
    """Yield what a stage's metrics say of cleaning rules."""
    if stage.kind == "dataset":
        found = CleaningMetrics.read(stage.metrics)
        for rule, count in found.rules.items():
            yield RuleFacts(stage.name, rule, count, found.examples.get(rule, ()))


def training_facts(stage: StageState) -> TrainingFacts:
    """Read a training's metrics; nothing of a stage that makes no model."""
    if stage.kind != "model":
        return TrainingFacts(stage)
    found = TrainingMetrics.read(stage.metrics)
    rest = {k: v for k, v in stage.metrics.items() if k not in ("curve", "heldout")}
    return TrainingFacts(
        stage=stage,
        before=found.heldout.before or {},
        after=found.heldout.after or {},
        curves=_curves(found.curve),
        figures=_numbers(rest),
        examples=found.examples,
    )


def _numbers(value: object, key: str = "") -> dict[str, float]:
    """The numbers in a JSON value by dotted path."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {key: float(value)}
    found: dict[str, float] = {}
    if isinstance(value, dict):
        for name, item in value.items():
            found |= _numbers(item, f"{key}.{name}" if key else name)
    return found


def _curves(points: Iterable[Mapping[str, float]]) -> tuple[TrainingCurve, ...]:
    """One curve a figure."""
    series: dict[str, list[tuple[float, float]]] = {}
    for position, point in enumerate(points, start=1):
        step = point.get("step") or position
        for name, figure in point.items():
            if name not in ("step", "epoch"):
                series.setdefault(name, []).append((step, figure))
    return tuple(TrainingCurve(name, tuple(points)) for name, points in series.items())
