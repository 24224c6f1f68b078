"""The stages of the factory, in the order of the paper."""

from parrot_core.monitor.state import StageSpec
from parrot_core.stages.base import Stage
from parrot_core.stages.capo.stage import CapoStage, SelectStage
from parrot_core.stages.evaluation.compare import CompareStage
from parrot_core.stages.evaluation.stage import EvaluateStage
from parrot_core.stages.filters.stage import FilterStage
from parrot_core.stages.ingest.assemble import AssembleStage
from parrot_core.stages.ingest.seeds import SeedsStage
from parrot_core.stages.ingest.stage import IngestStage
from parrot_core.stages.synthesis.stage import SynthesizeStage
from parrot_core.stages.training.stages import TrainAskStage, TrainDpoStage, TrainSftStage

STAGES: tuple[Stage, ...] = (
    IngestStage(),
    AssembleStage(),
    TrainAskStage(),
    SeedsStage(),
    SynthesizeStage(),
    FilterStage(),
    TrainSftStage(),
    SelectStage(),
    CapoStage(),
    TrainDpoStage(),
    EvaluateStage(),
    CompareStage(),
)

STAGE_SPECS = tuple(StageSpec(stage.name, stage.output, stage.kind) for stage in STAGES)
"""The same as the monitor needs them."""


def stage_named(name: str) -> Stage:
    """The stage of that name; KeyError if there is none."""
    return {stage.name: stage for stage in STAGES}[name]
