"""Several runs side by side: their settings, data, scores and costs.

The first run is the one that the others are compared with. A part that a run lacks is empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from parrot_core.analysis.comparison.distributions import (
    Distributions,
    NumberShift,
    ShareShift,
    distributions,
    number_shifts,
    share_shifts,
)
from parrot_core.analysis.comparison.settings import SettingChange, setting_changes
from parrot_core.analysis.results.paired import (
    Answers,
    PairedScores,
    judges_of,
    paired_scores,
    scored_answers,
)
from parrot_core.analysis.results.scores import Scores, read_scores
from parrot_core.analysis.results.win_rates import WinRates, win_rates
from parrot_core.errors import ParrotError, UserError
from parrot_core.lake.lake import Lake
from parrot_core.monitor import RunState, StageSpec, StageState, read_run
from parrot_core.monitor.stage_facts import TrainingFacts, training_facts

MEASURED = ("conversations", "parrot", "preferences")
"""Datasets whose distributions are compared: what came in, what was made, what is trained on."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run of the comparison."""

    state: RunState
    data: Mapping[str, Distributions] = field(default_factory=dict)
    trainings: Mapping[str, TrainingFacts] = field(default_factory=dict)  # by stage
    scores: Scores | None = None
    answers: Answers = field(default_factory=dict)
    rates: WinRates | None = None

    @property
    def judges(self) -> tuple[str, ...]:
        return judges_of(self.answers.values())


@dataclass(frozen=True, slots=True)
class RunComparison:
    """All runs, in the order they were named, and the later ones against the first."""

    runs: tuple[RunFacts, ...]
    settings: tuple[SettingChange, ...]
    paired: tuple[Mapping[str, PairedScores], ...]  # one for each run behind the first
    unreadable: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects that any run scored, in the order they are met."""
        scored = (run.scores for run in self.runs)
        return tuple(dict.fromkeys(s.subject for each in scored if each for s in each.subjects))

    @property
    def same_judge(self) -> bool:
        """Whether all runs that have scores have them from the same judge."""
        return len({run.judges for run in self.runs if run.answers}) <= 1

    def numbers(self, dataset: str) -> tuple[tuple[NumberShift, ...], ...]:
        """Figures of a dataset, one tuple a run, each against the first run's."""
        sides = [run.data.get(dataset, Distributions()) for run in self.runs]
        return tuple(number_shifts(sides[0], side) for side in sides)

    def shares(self, dataset: str) -> tuple[tuple[ShareShift, ...], ...]:
        """What rows of a dataset are counted by, one tuple a run, each against the first's."""
        sides = [run.data.get(dataset, Distributions()) for run in self.runs]
        return tuple(share_shifts(sides[0], side) for side in sides)


def compare_runs(
    lake: Lake, names: Sequence[str], stages: Iterable[StageSpec], now: datetime
) -> RunComparison:
    """Read several runs of one lake.

    Args:
        names: the runs; the others are compared with the first.

    Raises:
        MissingRun: the lake holds no run of one of the names.
        UserError: there are not two runs, or one is named twice.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(f"expected two or more different runs, found: {', '.join(names)}")
    specs = tuple(stages)
    return compare_states(lake, [read_run(lake, name, specs, now) for name in names])


def compare_states(
    lake: Lake, states: Sequence[RunState], measured: Sequence[str] = MEASURED
) -> RunComparison:
    """Compare runs that were read; distributions are those of the datasets ``measured``."""
    problems: list[str] = []
    runs = tuple(_facts(lake, state, measured, problems) for state in states)
    seed = states[0].header.seed
    return RunComparison(
        runs=runs,
        settings=setting_changes([state.header.recipe for state in states]),
        paired=tuple(paired_scores(runs[0].answers, run.answers, seed) for run in runs[1:]),
        unreadable=tuple(dict.fromkeys(problems)),
    )


def _facts(lake: Lake, state: RunState, measured: Sequence[str], problems: list[str]) -> RunFacts:
    data = {}
    for name in measured:
        stage = state.making(name)
        if stage is not None and stage.published:
            try:
                data[name] = distributions(lake.dataset(name, stage.version))
            except ParrotError as error:
                problems.append(str(error))
    scores, answers = _scored(lake, state, problems)
    return RunFacts(
        state,
        data,
        {s.name: training_facts(s) for s in state.stages if s.kind == "model" and s.published},
        scores,
        answers,
        win_rates(state.making("comparisons")),
    )


def _scored(lake: Lake, state: RunState, problems: list[str]) -> tuple[Scores | None, Answers]:
    stage: StageState | None = state.making("judgments")
    if stage is None or not stage.published:
        return None, {}
    try:
        version = lake.dataset("judgments", stage.version)
        return read_scores(version, state.header), scored_answers(version)
    except ParrotError as error:
        problems.append(str(error))
        return None, {}
