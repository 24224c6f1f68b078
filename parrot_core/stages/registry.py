"""The stages of the factory, in the order of the paper: the only list of them.

What is only shown needs a stage's name and output, not its code: that is loaded when a stage is
first wanted, since all of them together take most of a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from parrot_core.monitor.state import StageSpec

if TYPE_CHECKING:
    from parrot_core.stages.base import Stage

    STAGES: tuple[Stage, ...]

_ROOM = "parrot_core.stages"
_LIST: tuple[tuple[StageSpec, str, str], ...] = (
    (StageSpec("ingest", "records", "dataset"), "ingest.stage", "IngestStage"),
    (StageSpec("assemble", "conversations", "dataset"), "ingest.assemble", "AssembleStage"),
    (StageSpec("train-ask", "parrot-ask", "model"), "training.stages", "TrainAskStage"),
    (StageSpec("seeds", "seeds", "dataset"), "ingest.seeds", "SeedsStage"),
    (StageSpec("synthesize", "dialogues", "dataset"), "synthesis.stage", "SynthesizeStage"),
    (StageSpec("filter", "parrot", "dataset"), "filters.stage", "FilterStage"),
    (StageSpec("train-sft", "parrot-sft", "model"), "training.stages", "TrainSftStage"),
    (StageSpec("select", "context-queries", "dataset"), "capo.stage", "SelectStage"),
    (StageSpec("capo", "preferences", "dataset"), "capo.stage", "CapoStage"),
    (StageSpec("train-dpo", "parrot-chat", "model"), "training.stages", "TrainDpoStage"),
    (StageSpec("evaluate", "judgments", "dataset"), "evaluation.stage", "EvaluateStage"),
    (StageSpec("compare", "comparisons", "dataset"), "evaluation.compare", "CompareStage"),
)
"""What each stage is called and makes, and the class that does it."""

STAGE_SPECS = tuple(spec for spec, _, _ in _LIST)
"""As the monitor and the command line need them."""


def __getattr__(name: str) -> Any:
    """``STAGES``, made when it is first asked for."""
    if name != "STAGES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = tuple(getattr(import_module(f"{_ROOM}.{place}"), kind)() for _, place, kind in _LIST)
    globals()["STAGES"] = made
    return made


def stage_named(name: str) -> "Stage":
    """The stage of that name; KeyError if there is none."""
    from parrot_core.stages.registry import STAGES  # through __getattr__

    return {stage.name: stage for stage in STAGES}[name]
