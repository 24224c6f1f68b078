"""A stage turns published versions into one new version, shard by shard.

A stage says how its work divides into shards and what happens to one shard. Planning, resuming,
retrying, progress, accounting and publication are written once, in ``execution``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from parrot_core.engines.types import ChatModel
from parrot_core.lake.checkpoints import Checkpoints
from parrot_core.lake.leases import Claim
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.metrics import Metrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.monitor.state import StageSpec
from parrot_core.recipe import Recipe, Sampling, VllmEngine
from parrot_core.stages.forecasting import Examples, Requests, Sizes

Row = dict[str, Any]
"""One row of a dataset, as ``schemas`` lays it out."""


@dataclass(frozen=True, slots=True)
class EngineUse:
    """One way in which a stage asks an engine."""

    engine: str
    setting: str  # of the recipe, which says how it is sampled
    sampling: Sampling
    short: bool = False  # a short reply: a model that thinks is asked again with room for it


class Joining(Protocol):
    """Helps with a shard that another process holds; a context manager, called every second."""

    def __enter__(self) -> "Joining": ...

    def __exit__(self, *_: object) -> None: ...

    def __call__(self, claim: Claim | None) -> None:
        """Look at the claim on the shard, and help."""
        ...


class ShardWork(Protocol):
    """What a stage may do while it works on one shard."""

    @property
    def run(self) -> Run: ...

    @property
    def plan(self) -> ShardPlan: ...

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """The input rows of the plan's slices, in order, files verified against checksums.

        ``columns`` are all that is read of them; None: every one.
        """
        ...

    def expect(self, units: int) -> None:
        """Count units of work taken in. Each must end in one ``emit`` or one ``reject``."""
        ...

    def emit(self, row: Row) -> None: ...

    def reject(
        self, id: str, source_ids: Sequence[str], reason: str, original: object, detail: str = ""
    ) -> None:
        """Put a unit aside, with the original and a reason from ``stages.reasons.REASONS``."""
        ...

    def engine(self, name: str) -> ChatModel:
        """An engine of the recipe, journaled: a completion is durable before it is returned."""
        ...

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        """Say how far the shard is, in units; cheap, may be called for every unit."""
        ...

    def metric(self, name: str, value: object) -> None:
        """Put a figure (any JSON value) into the manifest's metrics, e.g. a loss."""
        ...

    def warn(self, text: str) -> None:
        """Report something the reader of the manifest should know."""
        ...

    def publish_model(self, folder: Path) -> None:
        """Model stages: upload a finished Hugging Face folder as this shard's output."""
        ...

    def checkpoints(self) -> Checkpoints:
        """Model stages: where the lake keeps what another machine could go on from."""
        ...


class Stage(ABC):
    """One stage of the factory."""

    name: ClassVar[str]
    """The stage's name on the command line and in the lake, e.g. ``train-ask``."""
    output: ClassVar[str]
    """The dataset or model it publishes, e.g. ``parrot-ask``."""
    kind: ClassVar[Literal["dataset", "model"]] = "dataset"
    inputs: ClassVar[tuple[str, ...]] = ()
    """The datasets and models it reads, unless the recipe says otherwise (see ``reads``)."""
    unit: ClassVar[str] = "session"
    """What is counted: rows in = rows out + rejects holds in these units."""
    settings_read: ClassVar[tuple[str, ...] | None] = None
    """Paths of the recipe that decide what it makes, beside the seed and its engines; None: all."""
    only_for: ClassVar[str] = ""
    """The one dataset that is made of its output, if that is of no other use."""
    summary: ClassVar[str] = ""
    """What it does, in a sentence: for deployments, forms and docs."""
    output_summary: ClassVar[str] = ""
    """What its output is, in a sentence: for the card of an exported dataset."""
    metrics: ClassVar[type[Metrics]] = Metrics
    """What the metrics of its version are: publication refuses any other."""

    @property
    def spec(self) -> StageSpec:
        return StageSpec(self.name, self.output, self.kind, self.only_for)

    def version(self, run: Run) -> str:
        """The version of its output in the run: a pinned one, or the run's own."""
        return self.spec.pinned(run.recipe.inputs) or run.name

    def lacks(self, recipe: Recipe) -> str:
        """The setting without which it can't run and which a recipe leaves out; mostly empty."""
        return ""

    @abstractmethod
    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """Divide the work into shards. Deterministic in the run's recipe and inputs."""

    def reads(self, run: Run) -> Sequence[str]:
        """The datasets and models that it reads in a run."""
        return self.inputs

    def uses(self, run: Run) -> Sequence[EngineUse]:
        """How it asks engines, in all the ways that it does."""
        return ()

    def engines(self, run: Run) -> Sequence[str]:
        """Names of the recipe's engines that must be up while shards are in work."""
        return tuple(dict.fromkeys(use.engine for use in self.uses(run)))

    def forecast(self, sizes: Sizes) -> Requests | Examples | None:
        """What it will ask of engines, or train on; None for a stage that does neither."""
        return None

    def pool(self, run: Run) -> Literal["cpu", "api", "gpu"]:
        """What its workers need: a GPU to train or to serve, an API to ask, or neither."""
        names, engines = self.engines(run), run.recipe.engines
        if self.kind == "model" or any(isinstance(engines.get(name), VllmEngine) for name in names):
            return "gpu"
        return "api" if names else "cpu"

    def joins(self, run: Run) -> "Joining | None":
        """What this process does instead of taking shards, if it is to help with another's.

        None: it takes shards.
        """
        return None

    def rows_per_file(self, run: Run) -> int:
        """Most rows in one Parquet file of the output; a shard may fill several."""
        return 50_000

    def summarise(self, run: Run, receipts: Sequence[Receipt]) -> dict[str, Any] | None:
        """Metrics of the whole version; None sums what the shards reported."""
        return None

    def warnings(self, run: Run, receipts: Sequence[Receipt]) -> Sequence[str]:
        """What the reader of the whole version should know, beside what the shards warned of."""
        return ()

    @abstractmethod
    def process(self, work: ShardWork) -> None:
        """Do one shard."""
