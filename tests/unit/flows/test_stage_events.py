"""What ends a stage is an event of the process that knows it: on a pool that is the stage's own."""

from pathlib import Path

import pytest

from flows import stages
from flows.announce import BUDGET, PARTIAL
from parrot_core.engines.types import BudgetReached
from parrot_core.errors import ParrotError, PartiallyFailed
from parrot_core.execution.runs import begin_run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_log import RunLog
from tests.support.lakes.toy_stages import SeedStage


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (BudgetReached(8.0, 8.0), BUDGET),
        (PartiallyFailed("test", "seeds", {1: "broken"}, 3), PARTIAL),
    ],
)
def test_a_reached_budget_and_failed_shards_are_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_log: RunLog,
    error: ParrotError,
    event: str,
) -> None:
    told: list[tuple[str, dict[str, str]]] = []

    def ends(*_: object) -> None:
        raise error

    monkeypatch.setattr(stages, "complete_stage", ends)
    monkeypatch.setattr(stages, "emit", lambda *each: told.append(each))
    with pytest.raises(type(error)):
        stages.run_stage(begin_run(minimal_recipe(str(tmp_path))), SeedStage())
    ((name, resource),) = told
    assert name == event
    assert resource["prefect.resource.id"] == "parrot.run.test"
    assert resource["parrot.detail"] == str(error)
