"""What pairs are like, by strategy, as a manifest's metrics say."""

from typing import Any

from parrot_core.monitor.state import StageState
from parrot_core.report.pairs_table import pairs_grid

FIGURES = {
    "asked": {"neglect": 40, "hallucination": 40},
    "pairs": {"neglect": 30, "hallucination": 0},
    "shares": {"truncated": {"neglect": 0.05}, "asked_back": {"neglect": 0.1}},
    "words": {"chosen": {"neglect": 80.4}, "rejected": {"neglect": 41.0}},
    "chosen_longer": {"neglect": 0.9, "hallucination": None},
    "answer_alone": {"neglect": 0.81},
    "margin_gain": {"neglect": 0.25},
}


def stage(metrics: dict[str, Any]) -> StageState:
    return StageState("capo", "preferences", "dataset", "done", "v", metrics=metrics)


def test_lengths_cuts_clarifications_and_what_a_classifier_sees_stand_by_strategy() -> None:
    grid = pairs_grid(stage(FIGURES))
    assert grid is not None
    assert grid.rows == (
        ("neglect", "40", "30", "5%", "10%", "80", "41", "90%", "0.81", "+0.25"),
        ("hallucination", "40", "0", *["-"] * 7),
    )
    assert pairs_grid(stage({})) is pairs_grid(None) is None
