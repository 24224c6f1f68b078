"""The stages of the factory, in the order of the paper."""

from parrot_core.capo.stage import CapoStage, SelectStage
from parrot_core.dialogue.stage import SynthesizeStage
from parrot_core.evaluation.stage import EvaluateStage
from parrot_core.filters.stage import FilterStage
from parrot_core.ingest.assemble import AssembleStage
from parrot_core.ingest.seeds import SeedsStage
from parrot_core.ingest.stage import IngestStage
from parrot_core.stage import Stage
from parrot_core.training.stages import TrainAskStage, TrainDpoStage, TrainSftStage

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
)


def stage_named(name: str) -> Stage:
    """The stage of that name; KeyError if there is none."""
    return {stage.name: stage for stage in STAGES}[name]
