"""One training as files: what the process is told, and where it leaves its results."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parrot_core.recipe import TrainAsk, TrainDpo, TrainSft

Kind = Literal["ask", "sft", "dpo"]


class TrainingJob(BaseModel):
    """A training: it knows only files, neither the lake nor the recipe around it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    model: str = Field(description="Folder or Hugging Face id of the model to start from.")
    folder: Path = Field(description="The job's folder; every file below lies in it.")
    settings: TrainAsk | TrainSft | TrainDpo
    seed: int
    data_sha256: str = Field(description="Of the training file and the held-out file together.")

    @property
    def train_file(self) -> Path:
        """Examples, JSON lines: ``messages``, or ``prompt``, ``chosen`` and ``rejected``."""
        return self.folder / "train.jsonl"

    @property
    def heldout_file(self) -> Path:
        """Examples that only measure; may be empty."""
        return self.folder / "heldout.jsonl"

    @property
    def file(self) -> Path:
        return self.folder / "job.json"

    @property
    def model_folder(self) -> Path:
        """The finished model, in Hugging Face's layout."""
        return self.folder / "model"

    @property
    def base_folder(self) -> Path:
        """The model to start from, where another node has sent it."""
        return self.folder / "base"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def progress_file(self) -> Path:
        """A JSON line for each phase, each warning and each optimiser step."""
        return self.folder / "progress.jsonl"

    @property
    def before_file(self) -> Path:
        """Held-out figures of the model before the first step; survives a kill."""
        return self.folder / "before.json"

    @property
    def metrics_file(self) -> Path:
        """The final figures; written last, so its presence means that the model is whole."""
        return self.folder / "metrics.json"

    @property
    def stop_file(self) -> Path:
        """There once the training is to save a checkpoint at its step and end."""
        return self.folder / "stop"

    def failure_file(self, rank: int) -> Path:
        """Why a process failed: ``{kind, message}``, when it could still say so."""
        return self.folder / f"failure-{rank}.json"

    def alive_file(self, rank: int) -> Path:
        """There while a process works; one that is left behind tells of a process that vanished."""
        return self.folder / f"alive-{rank}"

    @property
    def log_file(self) -> Path:
        return self.folder / "training.log"

    def identity(self) -> dict[str, object]:
        """What decides the result: a job with the same identity may be resumed.

        The strategy is among it, since each writes checkpoints that the others can't read; the
        number of processes is not.
        """
        operational = {
            name
            for name, info in type(self.settings).model_fields.items()
            if info.json_schema_extra is not None
        }
        return {
            "kind": self.kind,
            "model": self.model,
            "seed": self.seed,
            "data_sha256": self.data_sha256,
            "strategy": self.settings.devices.strategy,
            "settings": self.settings.model_dump(mode="json", exclude=operational),
        }

    def tell(self, line: Mapping[str, Any]) -> None:
        """Add a line to the progress file."""
        with self.progress_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def save(self) -> None:
        """Write ``job.json``."""
        self.file.write_text(self.model_dump_json(indent=1), encoding="utf-8")


def load_job(path: Path) -> TrainingJob:
    """Read ``job.json``."""
    return TrainingJob.model_validate_json(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    scratch.write_text(json.dumps(value, indent=1), encoding="utf-8")
    scratch.replace(path)
