"""The list of stages says of each what its class says."""

import subprocess
import sys

from parrot_core.monitor.state import StageSpec
from parrot_core.stages.registry import STAGE_SPECS, STAGES, stage_named


def test_names_and_outputs_are_those_of_the_classes() -> None:
    assert tuple(StageSpec(s.name, s.output, s.kind) for s in STAGES) == STAGE_SPECS
    assert stage_named("capo").output == "preferences"


def test_a_stage_reads_what_an_earlier_one_makes() -> None:
    made: set[str] = set()
    for stage in STAGES:
        assert set(stage.inputs) <= made, stage.name
        made.add(stage.output)


def test_the_names_alone_load_no_stage() -> None:
    code = (
        "import sys, parrot_core.stages.registry as r; assert len(r.STAGE_SPECS) == 12;"
        "assert not [m for m in sys.modules if m.startswith('parrot_core.stages.ingest')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
