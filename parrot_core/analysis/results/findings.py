"""What a run found, gathered once from the lake: the report and the terminal show the same facts.

Every section stands alone: what a partial run has not made yet is empty here, and what can't be
read is named in ``unreadable`` instead of taking the other sections with it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from parrot_core.analysis.results.samples import (
    LineageStep,
    PairGroup,
    RejectExample,
    SampledDialogue,
    pair_group,
    reject_examples,
    sample_dialogues,
    trace,
)
from parrot_core.analysis.results.scores import Scores, read_scores
from parrot_core.analysis.statistics.compute import Options
from parrot_core.analysis.statistics.reading import HELDOUT
from parrot_core.analysis.statistics.values import Statistics
from parrot_core.analysis.statistics.versions import statistics_of
from parrot_core.errors import ParrotError
from parrot_core.lake.lake import Lake
from parrot_core.monitor import RunState, StageSpec, StageState, read_run
from parrot_core.recipe import STRATEGIES

T = TypeVar("T")

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
class Findings:
    """The facts of one run."""

    state: RunState
    lake: str
    trainings: tuple[TrainingFacts, ...] = ()
    turns: Mapping[str, int] = field(default_factory=dict)  # dataset: user queries in all sessions
    dialogues: tuple[SampledDialogue, ...] = ()
    dialogues_from: str = ""
    strategies: Mapping[str, int] = field(default_factory=dict)
    pair: PairGroup | None = None
    lineage: tuple[LineageStep, ...] = ()
    rejects: tuple[RejectExample, ...] = ()
    cleaning: tuple[RuleFacts, ...] = ()
    scores: Scores | None = None
    statistics: tuple[Statistics, ...] = ()  # synthesized sessions, then held-out human ones
    unreadable: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[tuple[str, str], ...]:
        """(stage, warning) of every stage, then what could not be read for the report."""
        told = [(stage.name, text) for stage in self.state.stages for text in stage.warnings]
        return (*told, *(("report", text) for text in self.unreadable))


def gather(
    lake: Lake, run: str, stages: Iterable[StageSpec], now: datetime, *, dialogues: int = 4
) -> Findings:
    """Read the run's state, then everything that a reader of the run wants to see.

    Args:
        lake: where the run lives.
        run: its name.
        stages: the pipeline, in order.
        now: the present, to tell a running shard from a stalled one.
        dialogues: sample dialogues to draw, at random under the recipe's seed.

    Raises:
        MissingRun: the lake holds no run of this name.
    """
    return gather_more(lake, read_run(lake, run, stages, now), dialogues=dialogues)


def gather_more(lake: Lake, state: RunState, *, dialogues: int = 4) -> Findings:
    """Read what belongs to a state that is already known; see :func:`gather`."""
    problems: list[str] = []

    def version(output: str) -> str | None:
        stage = state.making(output)
        return stage.version if stage is not None and stage.published else None

    def attempt(outputs: Sequence[str], read: Callable[[str, str], T | None]) -> T | None:
        """The first of ``outputs`` that is published, read; None when there is none."""
        for output in outputs:
            found = version(output)
            if found is None:
                continue
            try:
                return read(output, found)
            except ParrotError as error:
                problems.append(str(error))
        return None

    seed = state.header.seed
    drawn = attempt(
        ("parrot", "dialogues"),
        lambda name, v: (name, sample_dialogues(lake.dataset(name, v), dialogues, seed)),
    )
    pair = attempt(("preferences",), lambda name, v: pair_group(lake.dataset(name, v), seed))
    strategies = attempt(("preferences",), lambda name, v: _strategies(lake, name, v))
    turns = {
        name: total
        for name in ("conversations", "dialogues", "parrot")
        if (total := attempt((name,), lambda n, v: _turns(lake, n, v))) is not None
    }
    lineage = (
        attempt(("preferences",), lambda n, v: trace(lake, n, v, pair.ids[0])) if pair else None
    )
    return Findings(
        state=state,
        lake=lake.url,
        trainings=tuple(training_facts(s) for s in state.stages if s.kind == "model"),
        turns=turns,
        dialogues=drawn[1] if drawn else (),
        dialogues_from=drawn[0] if drawn else "",
        strategies=strategies or {},
        pair=pair,
        lineage=lineage or (),
        rejects=tuple(_rejects(lake, state, problems)),
        cleaning=tuple(fact for stage in state.stages for fact in rule_facts(stage)),
        scores=attempt(("judgments",), lambda n, v: read_scores(lake.dataset(n, v), state.header)),
        statistics=tuple(_statistics(lake, version, seed, problems)),
        unreadable=tuple(dict.fromkeys(problems)),
    )


def _statistics(
    lake: Lake, version: Callable[[str], str | None], seed: int, problems: list[str]
) -> Iterator[Statistics]:
    """Of the synthesized sessions and of the held-out human ones, as far as there are any."""
    for name, split in (("parrot", ""), ("conversations", f":{HELDOUT}")):
        found = version(name)
        if found is None:
            continue
        try:
            yield statistics_of(lake, f"{name}@{found}{split}", Options(seed=seed))
        except ParrotError as error:
            problems.append(str(error))


def _turns(lake: Lake, name: str, version: str) -> int:
    return sum(int(row["n_turns"] or 0) for row in lake.dataset(name, version).rows(["n_turns"]))


def _strategies(lake: Lake, name: str, version: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in lake.dataset(name, version).rows(["strategy"]):
        found[row["strategy"]] = found.get(row["strategy"], 0) + 1
    order: dict[str, int] = {strategy: place for place, strategy in enumerate(STRATEGIES)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))


def _rejects(lake: Lake, state: RunState, problems: list[str]) -> Iterable[RejectExample]:
    for stage in state.stages:
        if stage.kind != "dataset" or not stage.published or not stage.rejects:
            continue
        try:
            version = lake.dataset(stage.output, stage.version)
            yield from reject_examples(version, stage.name, stage.rejected)
        except ParrotError as error:
            problems.append(str(error))


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
