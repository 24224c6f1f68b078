"""A second run beside ``finished_run``'s, told apart from it in known ways."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from parrot_core.lake.lake import Lake
from parrot_core.monitor import StageSpec
from parrot_core.stages.evaluation.summary import Judged, summarise
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.run_state import RECIPE, RUN, STAGES, Row, begin, publish

SECOND = "second"

Change = Callable[[list[Row]], list[Row]]


def copied_run(
    lake: Lake,
    changes: Mapping[str, Change] | None = None,
    *,
    name: str = SECOND,
    recipe: Mapping[str, Any] = RECIPE,
    leave_out: Sequence[str] = (),
) -> None:
    """Publish the rows of ``demo`` again under another run's name.

    Args:
        lake: with ``full_run`` in it.
        changes: by dataset, what is done to its rows.
        name: of the new run.
        recipe: of the new run; datasets that its ``inputs`` name are not published again.
        leave_out: stages that the new run has not published.
    """
    begin(lake, name, {**recipe, "name": name})
    for stage in STAGES:
        if stage.name in leave_out or stage.output in (recipe.get("inputs") or {}):
            continue
        if stage.kind == "model":
            manifest = lake.manifest("model", stage.output, RUN)
            accounts = manifest.accounting
            publish(lake, stage.name, run=name, metrics=manifest.metrics, accounting=accounts)
            continue
        version = lake.dataset(stage.output, RUN)
        rows = (changes or {}).get(stage.output, list)(list(version.rows()))
        usage = version.manifest.usage
        unit = version.manifest.accounting.unit
        publish(lake, stage.name, rows, list(version.rejects()), run=name, usage=usage, unit=unit)


COMPARED = (*STAGES, StageSpec("compare", "comparisons", "dataset"))
"""``run_state``'s stages, and the comparisons with a baseline behind them."""


def compared_run(root: Path) -> Lake:
    """``full_run`` with Parrot-Chat's answers compared with base's: two won, two tied."""
    lake = full_run(root)
    winners = ("subject", "tie", "subject", "tie")
    points = [
        Judged("Parrot-Chat", f"q{i // 2}", ("writing", "math", "coding")[i % 3], i % 2 + 1, value)
        for i, value in enumerate((1.0, 0.5, 1.0, 0.5))
    ]
    rows = [
        {
            "id": f"{point.session}/{point.turn}",
            "source_ids": [point.session],
            "language": "en",
            "subject": point.subject,
            "baseline": "base",
            "category": point.category,
            "turn": point.turn,
            "winner": winner,
        }
        for point, winner in zip(points, winners, strict=True)
    ]
    metrics = {
        "baseline": "base",
        "pair_prompt": "pair-1",
        "winners": {"Parrot-Chat": {"subject": 2, "tie": 2}},
        "win_rates": {each.subject: each.to_json() for each in summarise(points, 42)},
    }
    publish(lake, "compare", rows, unit="comparison", metrics=metrics)
    return lake
