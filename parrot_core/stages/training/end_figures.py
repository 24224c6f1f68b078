"""Detection figures (AUC, precision, recall) for predicted ends of sessions."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from parrot_core.estimates import area_under_curve

THRESHOLD = 0.5
"""A writer is taken to end where it gives the end at least this probability."""

Judged = tuple[int, bool, float]
"""Where the user speaks or goes: the turn, whether the user went, the end's probability."""


def figures_of(judged: Sequence[Judged]) -> dict[str, Any]:
    """Precision, recall and F1 of the end, AUC of its probability, and what chance would give.

    Args:
        judged: places of held-out sessions; the opening query is none.

    Returns:
        ``places``, ``base_rate`` (of ends), ``precision``, ``recall`` and ``f1`` at
        :data:`THRESHOLD`, ``f1_always`` (of ending everywhere), ``auc`` (0.5 is chance), each None
        where it is of nothing; ``by_turn``: places, ends, the end's mean probability, and AUC.
    """
    ends = [chance for _, ended, chance in judged if ended]
    others = [chance for _, ended, chance in judged if not ended]
    hits = sum(chance >= THRESHOLD for chance in ends)
    alarms = sum(chance >= THRESHOLD for chance in others)
    turns: dict[int, list[Judged]] = defaultdict(list)
    for place in judged:
        turns[place[0]].append(place)
    return {
        "places": len(judged),
        "base_rate": _share(len(ends), len(judged)),
        "precision": _share(hits, hits + alarms),
        "recall": _share(hits, len(ends)),
        "f1": _share(2 * hits, hits + alarms + len(ends)),
        "f1_always": _share(2 * len(ends), len(judged) + len(ends)),
        "auc": _auc(judged),
        "by_turn": {str(turn): _at_turn(found) for turn, found in sorted(turns.items())},
    }


def _at_turn(found: Sequence[Judged]) -> dict[str, Any]:
    return {
        "places": len(found),
        "ends": sum(ended for _, ended, _ in found),
        "probability": round(sum(chance for *_, chance in found) / len(found), 4),
        "auc": _auc(found),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _auc(judged: Sequence[Judged]) -> float | None:
    labels = np.array([ended for _, ended, _ in judged], dtype=np.int64)
    found = area_under_curve(labels, np.array([chance for *_, chance in judged]))
    return None if np.isnan(found) else round(found, 4)
