"""Preference pairs by query, and what the compared models have seen of them in training."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from parrot_core.engines.types import Message
from parrot_core.errors import UserError
from parrot_core.lake.lake import Lake
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.metrics import TrainingMetrics
from parrot_core.lake.run import Run
from parrot_core.recipe import parse_recipe
from parrot_core.stages.base import Row
from parrot_core.stages.training.choice import rank
from parrot_core.stages.training.stages import STAGES

Seen = Literal["nothing", "answer", "pairs"]
SEEN: dict[Seen, str] = {
    "nothing": "held out from every training",
    "answer": "held out from DPO; the chosen answer's session was in an SFT",
    "pairs": "trained on",
}
"""What the compared models saw of a query, all together, least first."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model version of the lake."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(slots=True)
class QueryPairs:
    """A context-dependent query: its prompt, the chosen answer, and each strategy's negative."""

    id: str
    turn: int
    prompt: Sequence[Message]
    chosen: Sequence[Message]
    seen: Seen = "nothing"
    rejected: dict[str, Sequence[Message]] = field(default_factory=dict)
    placebo: Sequence[Message] | None = None  # a second answer after the same history

    @property
    def answers(self) -> list[Sequence[Message]]:
        """What is scored: the chosen answer, the negatives, and last the placebo if it has one."""
        return [self.chosen, *self.rejected.values(), *([self.placebo] if self.placebo else ())]


@dataclass(frozen=True, slots=True)
class Learned:
    """Ids of what a model's trainings learned from, over its whole descent."""

    queries: frozenset[str]  # of preference pairs
    sessions: frozenset[str]  # of supervised fine-tuning

    def of(self, query: str) -> Seen:
        """What was seen of a query, whose id is its session's and its turn."""
        if query in self.queries:
            return "pairs"
        return "answer" if query.rpartition("/t")[0] in self.sessions else "nothing"


def learned_by(lake: Lake, model: ModelName, work_dir: Path) -> Learned:
    """What a model and the models it was trained from have learned from.

    Membership is computed again from each training's data, recipe and seed, as they stand in the
    manifests; nothing needs to have been kept. Rows that a training left out for their length count
    as learned.

    Raises:
        MissingVersion: the model, or data that it was trained on, is not in the lake.
    """
    queries: set[str] = set()
    sessions: set[str] = set()
    todo = [model]
    while todo:
        manifest = lake.manifest("model", todo[0].name, todo.pop(0).version)
        trained = _trained_ids(lake, manifest, work_dir)
        if manifest.stage == "train-dpo":
            version = manifest.inputs["preferences"]
            columns = lake.dataset("preferences", version).rows(["id", "source_ids"])
            queries |= {query_id(row) for row in columns if row["id"] in trained}
        else:
            sessions |= trained
        todo += _ancestors(manifest)
    return Learned(frozenset(queries), frozenset(sessions))


def _ancestors(manifest: Manifest) -> list[ModelName]:
    """Models of the lake that a training started from: among its inputs, or the recipe's base."""
    models = {stage.output for stage in STAGES}
    found = [ModelName(name, v) for name, v in manifest.inputs.items() if name in models]
    base = TrainingMetrics.read(manifest.metrics).base or ""
    if base.startswith("lake:") and base.removeprefix("lake:") not in manifest.inputs:
        name, _, version = base.removeprefix("lake:").partition("@")
        found.append(ModelName(name, version or manifest.run))
    return found


def _trained_ids(lake: Lake, manifest: Manifest, work_dir: Path) -> set[str]:
    stage = next((made() for made in STAGES if made.name == manifest.stage), None)
    if stage is None:
        raise UserError(f"{manifest.name}@{manifest.version}: no training stage made this model")
    recipe = parse_recipe({**manifest.recipe, "inputs": manifest.inputs})
    run = Run(manifest.run, recipe, lake, work_dir)
    return {id for id, part in stage.parts(run).items() if part == "train"}


def query_id(row: Row) -> str:
    """The query that a preference pair belongs to."""
    return "/".join(row["source_ids"])


def by_query(rows: Iterable[Row], learned: Sequence[Learned]) -> list[QueryPairs]:
    """Bring the pairs of each query together, in the order in which queries first appear."""
    found: dict[str, QueryPairs] = {}
    order = list(SEEN)
    for row in rows:
        name = query_id(row)
        if name not in found:
            seen: Seen = max(
                (each.of(name) for each in learned), key=order.index, default="nothing"
            )
            found[name] = QueryPairs(name, row["turn"], row["prompt"], row["chosen"], seen)
            if (second := row.get("placebo")) is not None:
                found[name].placebo = [{"role": "assistant", "content": second}]
        found[name].rejected[row["strategy"]] = row["rejected"]
    return list(found.values())


def measured(
    queries: Sequence[QueryPairs], limit: int | None, seed: int, *, trained: bool
) -> list[QueryPairs]:
    """The queries to measure on: what no DPO was trained on, and at most ``limit`` of each kind.

    Args:
        limit: most queries of a kind; those with the lowest hashes of id and seed stay.
        trained: whether to measure on what was trained on too.
    """
    chosen: list[QueryPairs] = []
    for seen in SEEN:
        if seen == "pairs" and not trained:
            continue
        members = [query for query in queries if query.seen == seen]
        chosen += sorted(members, key=lambda query: rank(query.id, seed))[:limit]
    return chosen
