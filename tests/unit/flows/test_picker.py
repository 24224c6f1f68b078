from pathlib import Path

from flows.picker import offering, open_runs
from parrot_core.execution.runs import begin_run
from parrot_core.lake.lake import Lake
from parrot_core.stages.registry import STAGE_SPECS
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_state import publish


def test_only_runs_that_lack_something_are_offered(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert open_runs(lake) == []
    for name in ("finished", "begun"):
        begin_run(minimal_recipe(str(tmp_path)), name)
    for spec in STAGE_SPECS:
        publish(lake, spec.name, run="finished", spec=spec)
    assert open_runs(lake) == ["begun"]


def test_the_form_offers_a_list_and_without_runs_takes_any_text() -> None:
    schema = {"properties": {"run": {"type": "string", "title": "run"}, "lake": {}}, "type": "x"}
    offered = offering(schema, ["b", "a"])
    assert offered["properties"]["run"] == {"type": "string", "title": "run", "enum": ["b", "a"]}
    assert offering(offered, []) == schema
