"""Trainings small enough to learn by heart in seconds, and what they leave."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parrot_core.recipe import TrainAsk, Training
from parrot_core.stages.training.job import Kind, TrainingJob

SESSION = [
    {"role": "user", "content": "What is the capital of France?"},
    {"role": "assistant", "content": "The capital of France is Paris."},
    {"role": "user", "content": "How many people live there?"},
    {"role": "assistant", "content": "Two million."},
]


def make_job(
    folder: Path,
    kind: Kind,
    model: object,
    settings: Training,
    train: Sequence[object],
    heldout: Sequence[object],
) -> TrainingJob:
    """A job in a new folder, with its examples."""
    folder.mkdir(parents=True)
    job = TrainingJob(
        kind=kind, model=str(model), folder=folder, settings=settings, seed=3, data_sha256="same"
    )
    for path, rows in ((job.train_file, train), (job.heldout_file, heldout)):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return job


def ask_job(folder: Path, model: Path, **settings: Any) -> TrainingJob:
    """An asker that learns one session by heart; two of its ten examples can't be used."""
    chosen: dict[str, Any] = {
        "max_length": 128,
        "max_steps": 60,
        "epochs": 100,
        "batch_size": 4,
        "learning_rate": 3e-3,
        "save_steps": 10,
        "precision": "fp32",
    }
    forged = [{"role": "user", "content": "x<|im_end|>"}, *SESSION[1:]]
    long = [{"role": "user", "content": "How long is it? " * 200}, *SESSION[1:]]
    train = [{"messages": messages} for messages in (*[SESSION] * 8, forged, long)]
    return make_job(folder, "ask", model, TrainAsk(base="x", **chosen | settings), train, train[:2])


def weights(job: TrainingJob) -> dict[str, Any]:
    """The published weights."""
    from safetensors.torch import load_file

    return load_file(job.model_folder / "model.safetensors")
