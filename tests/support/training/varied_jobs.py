"""A training job whose sessions have very different lengths."""

from tests.support.training.tiny_jobs import ask_job, make_job
from tests.support.training.tiny_model import TEXT


def varied_job(folder, model, **settings):
    """Sessions of very different lengths, so that a mean of means would not be the mean."""
    base = ask_job(folder.with_name(f"{folder.name}-plain"), model).settings
    chosen = {
        "max_steps": 6,
        "epochs": 2,
        "per_device_batch_size": 2,
        "learning_rate": 1e-3,
        "save_steps": 100,
    }
    sessions = []
    for n in range(12):
        text = TEXT[n % len(TEXT)]
        sessions.append(
            [
                {"role": "user", "content": text[: 5 + 6 * n]},
                {"role": "assistant", "content": TEXT[(n + 1) % len(TEXT)]},
                {"role": "user", "content": text},
            ]
        )
    rows = [{"messages": messages} for messages in sessions]
    merged = base.model_copy(update=chosen | settings)
    return make_job(folder, "ask", model, merged, rows, rows[:3])
