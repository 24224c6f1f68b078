"""A stage is declared once; everything else that is said of stages is derived from it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from parrot_core.stages.registry import STAGE_SPECS, STAGES, in_order, stage_named
from tests.support.lakes.toy_stages import SeedStage

TOY = """
from parrot_core.schemas import DATASETS
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import Stage
from parrot_core.stages.forecasting import Load, Requests

DATASETS["echoes"] = DATASETS["parrot"]


class EchoStage(Stage):
    name = "echo"
    output = "echoes"
    inputs = ("parrot",)
    settings_read = ("filter",)
    summary = "Says everything twice."
    output_summary = "Dialogues, twice."

    def plan(self, run):
        return [ShardPlan(0)]

    def engines(self, run):
        return ("answerer",)

    def forecast(self, sizes):
        return Requests((Load("answerer", 7, 70, 7),), 1)

    def process(self, work):
        work.expect(0)
"""

PROBE = """
import json, pathlib, tempfile
from flows.deploy import rendered
from flows.regenerate import regenerate
from flows import stages as stage_flows
from parrot_core.analysis.ablation.plan import CellLineage
from parrot_core.analysis.forecast.requests import forecast
from parrot_core.execution.runs import begin_run
from parrot_core.execution.selection import selected
from parrot_core.report.pipeline_picture import edges, layout
from parrot_core.stages.forecasting import Basis
from parrot_core.stages.registry import STAGE_SPECS, STAGES, maker_of
from tests.support.lakes.recipes import minimal_recipe

recipe = minimal_recipe(tempfile.mkdtemp())
run = begin_run(recipe)
names = [stage.name for stage in STAGES]
deployments = {each["name"]: each for each in rendered(recipe, None, "wait")["deployments"]}
other = begin_run(minimal_recipe(tempfile.mkdtemp(), filter={"min_turns": 5}))
print(json.dumps({
    "order": names,
    "flow": stage_flows.echo.name == "echo",
    "deployment": deployments["echo"]["work_pool"]["name"],
    "described": deployments["echo"]["description"],
    "form": "echo" in json.dumps(regenerate.parameters.model_dump(), default=str),
    "arrow": ("filter", "echo") in edges(names),
    "column": layout(names, edges(names))["echo"][0],
    "forecast": [s.loads[0].requests for s in forecast(run, Basis()).stages if s.stage == "echo"],
    "until": [stage.name for stage in selected(run, last="echo")][-1],
    "identity": CellLineage(run).key("echoes") != CellLineage(other).key("echoes"),
    "card": maker_of("echoes").output_summary,
    "monitored": "echo" in [spec.name for spec in STAGE_SPECS],
}))
"""


def test_a_stage_of_another_package_is_found_wherever_stages_are(tmp_path: Path) -> None:
    (tmp_path / "echo_stage.py").write_text(TOY)
    info = tmp_path / "echo_stage-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: echo-stage\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[parrot.stages]\necho = echo_stage:EchoStage\n")
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), root])},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    order = found.pop("order")
    assert order.index("echo") == order.index("filter") + 1
    assert found == {
        "flow": True,
        "deployment": "parrot-api",
        "described": "Says everything twice. Spends money.",
        "form": True,
        "arrow": True,
        "column": 5,
        "forecast": [7],
        "until": "echo",
        "identity": True,
        "card": "Dialogues, twice.",
        "monitored": True,
    }


def test_two_stages_cannot_make_the_same() -> None:
    with pytest.raises(ValueError, match="'seeds'"):
        in_order(STAGES, [SeedStage()])


def test_every_stage_says_what_it_does_and_reads_what_an_earlier_one_makes() -> None:
    made: set[str] = set()
    for stage in STAGES:
        assert stage.summary, stage.name
        assert set(stage.inputs) <= made, stage.name
        made.add(stage.output)


def test_names_and_outputs_are_those_of_the_classes() -> None:
    assert tuple(s.spec for s in STAGES) == STAGE_SPECS
    assert stage_named("capo").output == "preferences"


def test_the_names_alone_load_no_stage() -> None:
    code = (
        "import sys, parrot_core.stages.registry as r; assert len(r.STAGE_SPECS) == 12;"
        "assert not [m for m in sys.modules if m.startswith('parrot_core.stages.ingest')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
