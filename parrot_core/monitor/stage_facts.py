"""What the metrics of a stage say, typed by the kind of stage: trainings, cleaning rules, pairs.

Metrics are JSON that a stage wrote, perhaps an older one: nothing is taken for granted of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite

from parrot_core.monitor.state import StageState

Number = int | float


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

    @property
    def pairs(self) -> tuple[tuple[str, float | None, float | None], ...]:
        """(figure, before, after) on held-out data."""
        names = dict.fromkeys([*self.before, *self.after])
        return tuple((name, self.before.get(name), self.after.get(name)) for name in names)


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What one cleaning rule did in a stage; examples are (id, before, after)."""

    stage: str
    rule: str
    count: int
    examples: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StrategyFacts:
    """What the preference pairs of one strategy are like; None where it isn't known."""

    strategy: str
    asked: int
    pairs: int
    truncated: float | None  # share of those asked
    asked_back: float | None  # likewise: the negative asked what was meant
    chosen_words: float | None
    rejected_words: float | None
    chosen_longer: float | None  # share of the pairs
    answer_alone: float | None  # AUC of a classifier that sees no more than the answer
    margin_gain: float | None  # what the history adds to the margin, nats a token


def strategy_facts(stage: StageState) -> Iterable[StrategyFacts]:
    """Yield what the metrics of ``capo`` say of each strategy."""
    asked = stage.metrics.get("asked")
    for strategy in asked if isinstance(asked, dict) else ():

        def read(*path: str, of: str = strategy) -> float | None:
            found: object = stage.metrics
            for name in (*path, of):
                found = found.get(name) if isinstance(found, Mapping) else None
            if isinstance(found, bool) or not isinstance(found, Number):
                return None
            return float(found) if isfinite(found) else None

        yield StrategyFacts(
            str(strategy),
            int(read("asked") or 0),
            int(read("pairs") or 0),
            read("shares", "truncated"),
            read("shares", "asked_back"),
            read("words", "chosen"),
            read("words", "rejected"),
            read("chosen_longer"),
            read("answer_alone"),
            read("margin_gain"),
        )


def rule_facts(stage: StageState) -> Iterable[RuleFacts]:
    """Yield what a stage's metrics say of cleaning rules: ``rules`` and ``examples`` by rule."""
    rules, examples = stage.metrics.get("rules"), stage.metrics.get("examples")
    if not isinstance(rules, dict) or not isinstance(examples, dict):
        return
    for rule, count in rules.items():
        shown = [one for one in examples.get(rule) or () if isinstance(one, dict)]
        texts = (tuple(str(one.get(k, "")) for k in ("id", "before", "after")) for one in shown)
        yield RuleFacts(stage.name, rule, count, tuple((t[0], t[1], t[2]) for t in texts))


def training_facts(stage: StageState) -> TrainingFacts:
    """Read a training's metrics: ``heldout.before``/``after``, ``curve``, and other numbers."""
    heldout = stage.metrics.get("heldout")
    heldout = heldout if isinstance(heldout, dict) else {}
    figures: dict[str, float] = {}
    for key, value in stage.metrics.items():
        if key != "curve":
            figures |= _numbers(value, key)
    return TrainingFacts(
        stage=stage,
        before=_numbers(heldout.get("before"), "loss", top=True),
        after=_numbers(heldout.get("after"), "loss", top=True),
        curves=_curves(stage.metrics.get("curve")),
        figures={k: v for k, v in figures.items() if not k.startswith("heldout.")},
    )


def _numbers(value: object, key: str, *, top: bool = False) -> dict[str, float]:
    """The numbers in a JSON value by dotted path; a bare number goes by ``key``."""
    if isinstance(value, bool):
        return {}
    if isinstance(value, Number):
        return {key: float(value)}
    if not isinstance(value, dict):
        return {}
    found: dict[str, float] = {}
    for name, item in value.items():
        found |= _numbers(item, str(name) if top else f"{key}.{name}")
    return found


def _curves(value: object) -> tuple[TrainingCurve, ...]:
    """One curve a figure, from ``[{"step": …, "loss": …, …}]``."""
    if not isinstance(value, list):
        return ()
    series: dict[str, list[tuple[float, float]]] = {}
    for position, item in enumerate(value, start=1):
        if not isinstance(item, dict):
            continue
        step = float(item.get("step") or position)
        for name, figure in item.items():
            if name not in ("step", "epoch") and isinstance(figure, Number):
                series.setdefault(str(name), []).append((step, float(figure)))
    return tuple(TrainingCurve(name, tuple(points)) for name, points in series.items())
