"""The one list of stages: whatever is said of stages elsewhere is derived from it.

The factory's own come in the order of the paper. A package adds one by an entry point of the group
``parrot.stages`` that names its class; it stands behind the last stage that makes what it reads.

What is only shown needs a stage's name and output, not its code: that is loaded when a stage is
first wanted, since all of them together take most of a second.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from parrot_core.monitor.state import StageSpec

if TYPE_CHECKING:
    from parrot_core.stages.base import Stage

    STAGES: tuple[Stage, ...]

GROUP = "parrot.stages"
_ROOM = "parrot_core.stages"
_LIST: tuple[tuple[StageSpec, str, str], ...] = (
    (StageSpec("ingest", "records", "dataset", "conversations"), "ingest.stage", "IngestStage"),
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


def in_order(own: Iterable["Stage"], added: Iterable["Stage"]) -> tuple["Stage", ...]:
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


def _load() -> "tuple[Stage, ...]":
    own = (getattr(import_module(f"{_ROOM}.{place}"), kind)() for _, place, kind in _LIST)
    return in_order(own, [entry.load()() for entry in entry_points(group=GROUP)])


def __getattr__(name: str) -> Any:
    """``STAGES``, made when it is first asked for."""
    if name != "STAGES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["STAGES"] = made = _load()
    return made


STAGE_SPECS: tuple[StageSpec, ...] = (
    tuple(stage.spec for stage in _load())
    if entry_points(group=GROUP)
    else tuple(spec for spec, _, _ in _LIST)
)
"""As the monitor and the command line need them."""


def stage_named(name: str) -> "Stage":
    """The stage of that name; KeyError if there is none."""
    from parrot_core.stages.registry import STAGES  # through __getattr__

    return {stage.name: stage for stage in STAGES}[name]


def maker_of(output: str) -> "Stage | None":
    """The stage that makes a dataset or model; None if none does."""
    from parrot_core.stages.registry import STAGES  # through __getattr__

    return next((stage for stage in STAGES if stage.output == output), None)
