"""The one list of stages: whatever is said of stages elsewhere is derived from it.

The factory's own come in the order of the paper. A package adds one by an entry point of the group
``parrot.stages`` that names its class; it stands behind the last stage that makes what it reads.
"""

from collections.abc import Iterable
from importlib.metadata import entry_points

from parrot_core.monitor.state import StageSpec
from parrot_core.stages.base import Stage
from parrot_core.stages.capo.select import SelectStage
from parrot_core.stages.capo.stage import CapoStage
from parrot_core.stages.evaluation.compare import CompareStage
from parrot_core.stages.evaluation.stage import EvaluateStage
from parrot_core.stages.filters.stage import FilterStage
from parrot_core.stages.ingest.assemble import AssembleStage
from parrot_core.stages.ingest.seeds import SeedsStage
from parrot_core.stages.ingest.stage import IngestStage
from parrot_core.stages.synthesis.stage import SynthesizeStage
from parrot_core.stages.training.stages import TrainAskStage, TrainDpoStage, TrainSftStage

GROUP = "parrot.stages"

OWN: tuple[type[Stage], ...] = (
    IngestStage,
    AssembleStage,
    TrainAskStage,
    SeedsStage,
    SynthesizeStage,
    FilterStage,
    TrainSftStage,
    SelectStage,
    CapoStage,
    TrainDpoStage,
    EvaluateStage,
    CompareStage,
)


def in_order(own: Iterable[Stage], added: Iterable[Stage]) -> tuple[Stage, ...]:
    """The stages with the added ones, each behind the last that makes one of its inputs.

    Raises:
        ValueError: two stages have one name, or make the same.
    """
    stages = list(own)
    for stage in added:
        for there in stages:
            if there.name == stage.name or there.output == stage.output:
                raise ValueError(f"stage '{stage.name}' ({stage.output}) is there already: {there}")
        makers = [n for n, each in enumerate(stages) if each.output in stage.inputs]
        stages.insert(max(makers, default=len(stages) - 1) + 1, stage)
    return tuple(stages)


STAGES: tuple[Stage, ...] = in_order(
    (stage() for stage in OWN), (entry.load()() for entry in entry_points(group=GROUP))
)

STAGE_SPECS = tuple(StageSpec(stage.name, stage.output, stage.kind) for stage in STAGES)
"""The same as the monitor needs them."""


def stage_named(name: str) -> Stage:
    """The stage of that name; KeyError if there is none."""
    return {stage.name: stage for stage in STAGES}[name]


def maker_of(output: str) -> Stage | None:
    """The stage that makes a dataset or model; None if none does."""
    return next((stage for stage in STAGES if stage.output == output), None)
