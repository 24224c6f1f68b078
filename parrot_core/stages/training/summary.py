"""What a training did, short enough to keep and to read: its curve thinned out, and as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from parrot_core.lake.manifest import Manifest
from parrot_core.lake.metrics import TrainingMetrics

CURVE_POINTS = 200
SHOWN_POINTS = 20
COLUMNS = {
    "step": "step",
    "loss": "loss",
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy",
    "learning_rate": "learning rate",
    "tokens_per_s": "tokens/s",
}


def downsampled(
    curve: Sequence[Mapping[str, Any]], points: int = CURVE_POINTS
) -> list[Mapping[str, Any]]:
    """At most so many points of a curve, the first and the last among them."""
    if len(curve) <= points:
        return list(curve)
    picked = [round(i * (len(curve) - 1) / (points - 1)) for i in range(points)]
    return [curve[i] for i in picked]


def training_summary(manifest: Manifest) -> str:
    """A model version's training as Markdown: held-out figures, then the curve."""
    metrics = TrainingMetrics.read(manifest.metrics)
    parts = [f"### {manifest.name}@{manifest.version}"]
    before, after = metrics.heldout.before, metrics.heldout.after
    if before and after:
        rows = [[name, _shown(before[name]), _shown(after.get(name))] for name in before]
        parts.append(_table(["held out", "before", "after"], rows))
    curve = downsampled(metrics.curve, SHOWN_POINTS)
    names = [name for name in COLUMNS if any(name in point for point in curve)]
    if curve:
        rows = [[_shown(point.get(name)) for name in names] for point in curve]
        parts.append(_table([COLUMNS[name] for name in names], rows))
    return "\n\n".join(parts)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
