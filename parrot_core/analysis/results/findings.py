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
from parrot_core.monitor import RunState, StageSpec, read_run
from parrot_core.monitor.stage_facts import RuleFacts, TrainingFacts, rule_facts, training_facts
from parrot_core.recipe import STRATEGIES

T = TypeVar("T")


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
