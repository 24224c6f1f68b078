"""One execution of a recipe on a lake, by name."""

from dataclasses import dataclass
from pathlib import Path

from parrot_core.lake.lake import Lake
from parrot_core.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a recipe: its name is the name of every version it makes."""

    name: str
    recipe: Recipe
    lake: Lake
    work_dir: Path  # local and disposable: training checkpoints, model copies, engine logs
    stages: tuple[str, ...] | None = None  # all it was begun to make; None: the whole factory

    def makes(self, stage: str) -> bool:
        """Whether the stage is part of what the run was begun for."""
        return self.stages is None or stage in self.stages

    def version_of(self, dataset: str) -> str:
        """The version of ``dataset`` that this run reads: a pinned one, or its own."""
        return self.recipe.inputs.get(dataset, self.name)
