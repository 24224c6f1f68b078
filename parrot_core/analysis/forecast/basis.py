"""What a forecast rests on: lengths and shares, measured or assumed, each with its source."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from parrot_core.lake.lake import Lake
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.metrics import TruncationMetrics
from parrot_core.lake.run import Run
from parrot_core.stages.forecasting import Basis, SourcedFigure

CHARS_PER_TOKEN = 4.0


def measured(run: Run, rows: int) -> Basis:
    """A basis from the newest dialogues, conversations and seeds of the lake, where there are any.

    Args:
        run: whose lake is read; versions of any run serve.
    """
    basis = Basis()
    newest: dict[str, Manifest] = {}
    for manifest in run.lake.versions():
        newest.setdefault(manifest.name, manifest)
    if "conversations" in newest:
        basis = _from_messages(basis, run.lake, newest["conversations"], rows, turns=False)
    if "seeds" in newest:
        texts = [row["query"] for row in _rows(run.lake, newest["seeds"], rows)]
        lengths = [len(text) / CHARS_PER_TOKEN for text in texts]
        basis = replace(basis, first_query=_mean(lengths, newest["seeds"], basis.first_query))
    if "dialogues" in newest:
        basis = _from_messages(basis, run.lake, newest["dialogues"], rows, turns=True)
    if "parrot" in newest:
        accounts = newest["parrot"].accounting
        if accounts.rows_in:
            basis = replace(
                basis,
                kept=_measured(accounts.rows_out / accounts.rows_in, newest["parrot"]),
            )
    return basis


def _from_messages(
    basis: Basis, lake: Lake, manifest: Manifest, rows: int, *, turns: bool
) -> Basis:
    asked: list[float] = []
    answered: list[float] = []
    went_on = ended = 0
    most = int((manifest.recipe.get("synthesize") or {}).get("max_turns") or 10)
    for row in _rows(lake, manifest, rows):
        told = row.get("provenance") or [{}] * len(row["messages"])
        for place, (message, origin) in enumerate(zip(row["messages"], told, strict=False)):
            tokens = float((origin or {}).get("completion_tokens") or 0)
            tokens = tokens or len(message["content"]) / CHARS_PER_TOKEN
            if message["role"] == "assistant":
                answered.append(tokens)
            elif place:
                asked.append(tokens)
        queries = sum(message["role"] == "user" for message in row["messages"])
        went_on += max(0, queries - 1)
        ended += queries < most
    basis = replace(
        basis,
        follow_up=_mean(asked, manifest, basis.follow_up),
        answer=_mean(answered, manifest, basis.answer),
    )
    if turns and (sessions := manifest.accounting.rows_in):
        cut = TruncationMetrics.read(manifest.metrics).truncated
        basis = replace(basis, truncated=_measured(sum(cut.values()) / sessions, manifest))
    if turns and went_on + ended:
        basis = replace(basis, goes_on=_measured(went_on / (went_on + ended), manifest))
    return basis


def _rows(lake: Lake, manifest: Manifest, rows: int) -> Iterator[dict[str, Any]]:
    return islice(lake.dataset(manifest.name, manifest.version).rows(), rows)


def _mean(values: list[float], manifest: Manifest, otherwise: SourcedFigure) -> SourcedFigure:
    return _measured(sum(values) / len(values), manifest) if values else otherwise


def _measured(value: float, manifest: Manifest) -> SourcedFigure:
    return SourcedFigure(value, f"measured in {manifest.name}@{manifest.version}")
