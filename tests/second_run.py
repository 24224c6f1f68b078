"""A second run beside ``finished_run``'s, told apart from it in known ways."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parrot_core.lake.lake import Lake
from tests.finished_run import RECIPE, RUN, STAGES, Row, begin, publish

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
