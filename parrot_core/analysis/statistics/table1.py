"""Table 1 of the paper, to be shown beside what is measured here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SOURCE = "Sun et al. 2024 (arXiv:2310.07301v2), Table 1; context-dependent queries are LLM-judged"


@dataclass(frozen=True, slots=True)
class Table1Row:
    """One data set of the table; figures that it doesn't give are missing."""

    label: str
    sessions: str
    figures: Mapping[str, float]  # by the names of our figures


def _row(label: str, sessions: str, **figures: float) -> Table1Row:
    return Table1Row(label, sessions, MappingProxyType(figures))


TABLE_1 = (
    _row("Parrot-40K", "40 K", turns=8.71, context_dependent=3.42, self_rouge=12.5),
    _row("ShareGPT", "-", turns=6.67, context_dependent=4.62),
    _row("UltraChat", "-", turns=3.85, context_dependent=1.45),
    _row("Baize", "-", turns=4.54, context_dependent=1.75),
)
