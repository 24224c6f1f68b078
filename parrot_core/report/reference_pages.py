"""Write the reference pages that are made from the code: settings, reasons of rejects, metrics.

``python -m parrot_core.report.reference_pages FOLDER``; ``make docs`` calls it.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from parrot_core.lake.lake import Lake
from parrot_core.monitor.exposition import RunCollector
from parrot_core.recipe.reference import recipe_reference
from parrot_core.stages.reasons import REASONS

_REASONS = """# Why rows are rejected

Every reject has one of these reasons, and keeps its original. `parrot show NAME --rejects` shows
them. Made from the code with `make docs`.

| reason | what it means |
|---|---|
"""
_METRICS = """# Metrics

What `parrot metrics` tells Prometheus. How to use them is in
[operations](../how-to/operations.md#metrics-and-alerts). Made from the code with `make docs`.

| metric | type | labels | what it means |
|---|---|---|---|
"""


def pages() -> dict[str, str]:
    """The text of each page, by its file's name."""
    return {"recipe.md": recipe_reference(), "reasons.md": _reasons(), "metrics.md": _metrics()}


def _reasons() -> str:
    return _REASONS + "".join(f"| `{name}` | {why} |\n" for name, why in sorted(REASONS.items()))


def _metrics() -> str:
    lines = []
    for family in RunCollector(Lake("."), (), lambda: datetime.now(UTC)).describe():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(family._labelnames)
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |\n")
    return _METRICS + "".join(sorted(lines))


if __name__ == "__main__":
    for file, text in pages().items():
        (Path(sys.argv[1]) / file).write_text(text, encoding="utf-8")
