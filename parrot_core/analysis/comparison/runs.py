"""What changed between two runs: settings, counts, rows, distributions, models and scores.

A stage that only one run has published is named and otherwise left out; so is a version that
can't be read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from parrot_core.analysis.comparison.distributions import (
    Distributions,
    NumberShift,
    ShareShift,
    distributions,
    number_shifts,
    share_shifts,
)
from parrot_core.analysis.comparison.rows import RowsDifference, compare_rows
from parrot_core.analysis.comparison.settings import SettingChange
from parrot_core.analysis.comparison.side_by_side import RunComparison, compare_states
from parrot_core.analysis.results.paired import PairedScores
from parrot_core.errors import ParrotError
from parrot_core.lake.lake import Lake
from parrot_core.lake.manifest import FileEntry
from parrot_core.monitor import RunState, StageSpec, StageState, read_run
from parrot_core.monitor.costs import unpriced
from parrot_core.monitor.stage_facts import training_facts
from parrot_core.text.wording import spent

CLOCKED = ("seconds", "tokens_per_s", "phase_seconds", "processes")
"""Figures of a training that say how it ran, not what it made; they differ every time."""


@dataclass(frozen=True, slots=True)
class StageSide:
    """One run's part of a stage that it has published or pinned."""

    version: str
    pinned: bool
    rows_in: int
    rows_out: int
    rejected: Mapping[str, int]
    usd: float
    requests: int
    tokens: int
    turns: int | None = None
    unpriced: tuple[str, ...] = ()  # engines that took something whose price isn't known

    @classmethod
    def of(cls, run: RunState, stage: StageState) -> "StageSide":
        return cls(
            version=stage.version,
            pinned=stage.status == "pinned",
            rows_in=stage.rows_in,
            rows_out=stage.rows_out,
            rejected=dict(stage.rejected),
            usd=stage.usd,
            requests=sum(used.requests for used in stage.usage.values()),
            tokens=stage.tokens,
            unpriced=unpriced(stage.usage.items(), run.header.recipe),
        )

    @property
    def cost(self) -> str:
        """Dollars, and of which engines the price isn't known."""
        return spent(self.usd, self.unpriced)

    @property
    def counts(self) -> dict[str, int]:
        """What is counted: rows and turns out, and the rejects of each reason."""
        turns = {} if self.turns is None else {"turns": self.turns}
        rejects = {f"rejected, {why}": n for why, n in self.rejected.items() if n}
        return {"in": self.rows_in, "out": self.rows_out, **turns, **rejects}


Sides = tuple[StageSide, StageSide]


@dataclass(frozen=True, slots=True)
class FigureChange:
    """A figure of a training in both runs; None where a run doesn't have it."""

    name: str
    a: float | None
    b: float | None


@dataclass(frozen=True, slots=True)
class StageDifference:
    """A stage that both runs have published; ``same`` says that its files are the same ones."""

    name: str
    output: str
    kind: str
    a: StageSide
    b: StageSide
    same: bool
    read: bool = True  # false where a version could not be read: then nothing is known
    rows: RowsDifference | None = None
    numbers: tuple[NumberShift, ...] = ()
    shares: tuple[ShareShift, ...] = ()
    figures: tuple[FigureChange, ...] = ()  # those that differ
    files: tuple[str, ...] = ()  # of a model: those that differ

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        a, b = self.a.counts, self.b.counts
        return {name: (a.get(name, 0), b.get(name, 0)) for name in dict.fromkeys([*a, *b])}

    @property
    def empty(self) -> bool:
        """Whether the stage made the same in both runs, at the same cost."""
        return (
            self.read
            and all(before == after for before, after in self.counts.values())
            and (self.rows is None or self.rows.empty)
            and not self.files
            and not self.figures
            and self.a.cost == self.b.cost
        )


@dataclass(frozen=True, slots=True)
class RunDifference:
    """Run A against run B; everything is read as "from A to B"."""

    compared: RunComparison  # the two of them
    stages: tuple[StageDifference, ...]
    missing: tuple[str, ...]

    @property
    def a(self) -> RunState:
        return self.compared.runs[0].state

    @property
    def b(self) -> RunState:
        return self.compared.runs[1].state

    @property
    def settings(self) -> tuple[SettingChange, ...]:
        return self.compared.settings

    @property
    def scores(self) -> Mapping[str, PairedScores]:
        return self.compared.paired[0]

    @property
    def judges(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The models that scored; none where only one of the runs was scored."""
        one, other = (run.judges for run in self.compared.runs)
        return (one, other) if one and other else ((), ())

    @property
    def win_rates(self) -> tuple[FigureChange, ...]:
        one, other = (
            {s.subject: s.overall.mean for s in run.rates.subjects} if run.rates else {}
            for run in self.compared.runs
        )
        names = dict.fromkeys([*one, *other])
        return tuple(FigureChange(name, one.get(name), other.get(name)) for name in names)

    @property
    def empty(self) -> bool:
        """Whether nothing changed; that a run is partial counts as a change if the other isn't."""
        pairs = zip(self.a.stages, self.b.stages, strict=True)
        unlike = any(one.published != other.published for one, other in pairs)
        return not (self.settings or unlike or any(not stage.empty for stage in self.stages))

    def to_json(self) -> dict[str, Any]:
        return {
            "a": self.a.name,
            "b": self.b.name,
            "differ": not self.empty,
            "settings": [change.to_json() for change in self.settings],
            "stages": [_stage_json(stage) for stage in self.stages],
            "scores": {
                name: {"difference": each.difference.to_json(), "unpaired": list(each.unpaired)}
                for name, each in self.scores.items()
            },
            "win_rates": [asdict(change) for change in self.win_rates],
            "judges": [list(side) for side in self.judges],
            "missing": list(self.missing),
        }


def difference(
    lake: Lake, a: str, b: str, stages: Iterable[StageSpec], now: datetime
) -> RunDifference:
    """Read both runs and say what changed from ``a`` to ``b``.

    Args:
        a: name of the run that is compared with, such as yesterday's.

    Raises:
        MissingRun: the lake holds no run of one of the names.
    """
    specs = tuple(stages)
    of_a, of_b = read_run(lake, a, specs, now), read_run(lake, b, specs, now)
    missing: list[str] = []
    found = []
    for left, right in zip(of_a.stages, of_b.stages, strict=True):
        missing += _unpublished(of_a, left, right) + _unpublished(of_b, right, left)
        if left.published and right.published:
            sides = StageSide.of(of_a, left), StageSide.of(of_b, right)
            found.append(_stage(lake, left, right, sides, missing))
    compared = compare_states(lake, (of_a, of_b), measured=())
    unread = (*missing, *compared.unreadable)
    return RunDifference(compared, tuple(found), tuple(dict.fromkeys(unread)))


def _unpublished(state: RunState, stage: StageState, other: StageState) -> list[str]:
    if stage.published or not other.published:
        return []
    if stage.status == "pinned":
        why = f"its recipe names version {stage.version}, which is not in the lake"
    else:
        why = f"'{stage.name}' is {stage.status}"
    return [f"run '{state.name}' has no '{stage.output}': {why}"]


def _stage(
    lake: Lake, a: StageState, b: StageState, sides: Sides, missing: list[str]
) -> StageDifference:
    if a.version == b.version:
        return StageDifference(a.name, a.output, a.kind, *sides, same=True)
    try:
        if a.kind == "model":
            return _model(lake, a, b, sides)
        return _dataset(lake, a, b, sides)
    except ParrotError as error:
        missing.append(str(error))
        return StageDifference(a.name, a.output, a.kind, *sides, same=False, read=False)


def _dataset(lake: Lake, a: StageState, b: StageState, sides: Sides) -> StageDifference:
    left, right = lake.dataset(a.output, a.version), lake.dataset(b.output, b.version)
    rows = compare_rows(left, right)
    counts = distributions(left)
    moved = counts if rows.empty else distributions(right)
    return StageDifference(
        *(a.name, a.output, a.kind),
        _with_turns(sides[0], counts),
        _with_turns(sides[1], moved),
        same=rows.empty,
        rows=rows,
        numbers=number_shifts(counts, moved),
        shares=share_shifts(counts, moved),
    )


def _with_turns(side: StageSide, counts: Distributions) -> StageSide:
    total = counts.total("turns")
    return side if total is None else replace(side, turns=int(total))


def _model(lake: Lake, a: StageState, b: StageState, sides: Sides) -> StageDifference:
    left, right = (lake.model(s.output, s.version).manifest.files for s in (a, b))
    sums = [_checksums(files) for files in (left, right)]
    files = tuple(
        name for name in sorted({*sums[0], *sums[1]}) if sums[0].get(name) != sums[1].get(name)
    )
    figures = [_figures(stage) for stage in (a, b)]
    changes = (
        FigureChange(name, figures[0].get(name), figures[1].get(name))
        for name in dict.fromkeys([*figures[0], *figures[1]])
    )
    return StageDifference(
        *(a.name, a.output, a.kind, *sides),
        same=not files,
        figures=tuple(change for change in changes if change.a != change.b),
        files=files,
    )


def _checksums(files: Iterable[FileEntry]) -> dict[str, str]:
    """Checksums by path inside the model's folder, whose name is the attempt's."""
    return {entry.path.split("/", 1)[-1]: entry.sha256 for entry in files}


def _figures(stage: StageState) -> dict[str, float]:
    facts = training_facts(stage)
    before = {f"held-out {name} before": value for name, value in facts.before.items()}
    after = {f"held-out {name} after": value for name, value in facts.after.items()}
    last = {f"last {curve.name}": curve.points[-1][1] for curve in facts.curves if curve.points}
    rest = {
        name: value for name, value in facts.figures.items() if name.split(".")[0] not in CLOCKED
    }
    curves = {n: v for n, v in last.items() if n.removeprefix("last ") not in CLOCKED}
    return {**before, **after, **curves, **rest}


def _stage_json(stage: StageDifference) -> dict[str, Any]:
    data = asdict(stage)
    data["empty"] = stage.empty
    return data
