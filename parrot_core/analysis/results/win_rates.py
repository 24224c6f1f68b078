"""How often each subject's answer was preferred to the baseline's, as the run kept it."""

from collections.abc import Mapping
from dataclasses import dataclass

from parrot_core.analysis.results.scores import BySubject
from parrot_core.lake.metrics import ComparisonMetrics
from parrot_core.monitor.state import StageState
from parrot_core.stages.evaluation.summary import SubjectSummary


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Comparisons by how they ended for the subject."""

    won: int
    tied: int
    lost: int

    @property
    def total(self) -> int:
        """All comparisons with two readable verdicts."""
        return self.won + self.tied + self.lost


@dataclass(frozen=True, slots=True)
class WinRates(BySubject):
    """Every subject against one baseline; a rate counts a tie as half, 0.5 is as good."""

    baseline: str
    outcomes: Mapping[str, Outcomes]


def win_rates(stage: StageState | None) -> WinRates | None:
    """Read the metrics of the stage ``compare``; None when nothing was compared."""
    found = ComparisonMetrics.read(stage.metrics if stage is not None else {})
    if not found.win_rates:
        return None
    outcomes = {
        name: Outcomes(*(counts.get(side, 0) for side in ("subject", "tie", "baseline")))
        for name, counts in found.winners.items()
    }
    subjects = tuple(map(SubjectSummary.from_json, found.win_rates.values()))
    nothing = Outcomes(0, 0, 0)
    return WinRates(
        subjects,
        found.baseline or "",
        {each.subject: outcomes.get(each.subject, nothing) for each in subjects},
    )
