"""How much the figures of an ablation cell vary between runs with different seeds.

A difference between cells that is no larger than what another seed makes of either is marked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from parrot_core.analysis.ablation.plan import CellPlan
from parrot_core.analysis.likelihood.held_out_pairs import SEEN
from parrot_core.analysis.likelihood.preference_accuracy import MEASURES, Measure
from parrot_core.text.text_table import Grid

WITHIN = "≈"
NOTE = (
    f"± is the standard deviation between seeds; {WITHIN} marks a difference from the first cell "
    "that is no larger than that of either."
)


@dataclass(frozen=True, slots=True)
class Replicates:
    """One figure of a cell, a value a seed, and the same figure of the cell it is set against."""

    values: tuple[float, ...]
    first: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The standard deviation between seeds; None of fewer than two."""
        return _deviation(self.values)

    @property
    def difference(self) -> float:
        """From the first cell."""
        return self.mean - fmean(self.first)

    @property
    def within_seeds(self) -> bool | None:
        """Whether another seed moves a mean as far as the difference; None if that isn't known."""
        known = [each for each in map(_deviation, (self.values, self.first)) if each is not None]
        return abs(self.difference) <= max(known) if known else None

    def to_json(self) -> dict[str, Any]:
        """What tables are made of."""
        return {
            "values": list(self.values),
            "mean": self.mean,
            "deviation": self.deviation,
            "difference": self.difference,
            "within_seeds": self.within_seeds,
        }


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def replicates(values: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """Each cell's figure as JSON, set against the first cell that has one."""
    there = {cell: tuple(found) for cell, found in values.items() if found}
    return {
        cell: Replicates(found, next(iter(there.values()))).to_json()
        for cell, found in there.items()
    }


def shown_spread(found: Mapping[str, Any] | None, scale: float = 1, digits: int = 2) -> str:
    """``± deviation``, and the difference from the first cell with its mark."""
    if found is None:
        return ""
    said = ""
    if found["deviation"] is not None:
        said = f" ± {found['deviation'] * scale:.{digits}f}"
    if found["difference"] or found["within_seeds"] is False:
        mark = f" {WITHIN}" if found["within_seeds"] else ""
        said += f" ({found['difference'] * scale:+.{digits}f}{mark})"
    return said


def accuracy_replicates(
    by_seed: Mapping[int, Mapping[str, Any]], plans: Sequence[CellPlan]
) -> Iterator[Grid]:
    """Yield the tables of preference accuracy over seeds, a cell a line.

    Args:
        by_seed: what was measured of the models of each seed.
        plans: whose cells and models they are.
    """
    measures: tuple[Measure, ...] = ("mean", "margin")
    labels = {plan.cell: plan.label for plan in plans}
    for seen, words in SEEN.items():
        columns: dict[str, dict[str, Any]] = {}
        for measure in measures:
            values: dict[str, list[float]] = {cell: [] for cell in labels}
            for plan in plans:
                parts = by_seed.get(plan.seed or 0, {}).get("parts", {})
                models = parts.get(seen, {}).get("by_model", {})
                if found := models.get(str(plan.model)):
                    values[plan.cell].append(found[measure]["overall"]["mean"])
            columns[measure] = replicates(values)
        if not columns["mean"]:
            continue
        rows = [
            (
                labels[cell],
                *(
                    f"{columns[m][cell]['mean'] * s:.{d}f}{shown_spread(columns[m][cell], s, d)}"
                    for m, s, d in (("mean", 100, 1), ("margin", 1, 3))
                ),
                str(len(columns["mean"][cell]["values"])),
            )
            for cell in columns["mean"]
        ]
        header = ("cell", *(MEASURES[measure] for measure in measures), "seeds")
        yield Grid(f"Preference accuracy, {words}", header, tuple(rows))
