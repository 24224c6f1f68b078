"""The stages of the factory, in the order of the paper."""

from parrot_core.capo.stage import CapoStage, SelectStage
from parrot_core.dialogue.stage import SynthesizeStage
from parrot_core.evaluation.compare import CompareStage
from parrot_core.evaluation.stage import EvaluateStage
from parrot_core.filters.stage import FilterStage
from parrot_core.ingest.stage import IngestStage, SeedsStage
from parrot_core.monitor.state import StageSpec
from parrot_core.stage import Stage
from parrot_core.training.stages import TrainAskStage, TrainDpoStage, TrainSftStage

STAGES: tuple[Stage, ...] = (
    IngestStage(),
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
