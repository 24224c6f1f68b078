"""Stand-ins for what the runner gives to stages: a recipe, and the work on one shard in memory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from parrot_core.engines.types import ChatModel
from parrot_core.lake.checkpoints import Checkpoints
from parrot_core.lake.lake import Lake
from parrot_core.lake.manifest import Accounting, Receipt
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.recipe import Recipe, parse_recipe
from parrot_core.stages.base import Row
from parrot_core.stages.reasons import REASONS

MODEL = "stub/model"


def small_recipe(**parts: Any) -> Recipe:
    """A valid recipe; ``parts`` replace or add top-level settings."""
    data: dict[str, Any] = {
        "name": "test",
        "seed": 7,
        "engines": {
            name: {"kind": "openai", "model": MODEL, "base_url": "http://127.0.0.1:9/v1"}
            for name in ("asker", "answerer", "judge")
        },
        "ingest": {"sources": ["sessions.json"]},
        "train_ask": {"base": MODEL},
        "train_sft": {"base": MODEL},
        "evaluate": {"subjects": {"base": "answerer"}},
    }
    return parse_recipe(data | parts)


class FakeWork:
    """A ``ShardWork`` that keeps everything in lists; engines are scripted by the test."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        plan: ShardPlan | None = None,
        rows: Sequence[Row] = (),
        engines: Mapping[str, ChatModel] | None = None,
    ) -> None:
        self.run = Run(recipe.name, recipe, Lake(str(folder / "lake")), folder / "work")
        self.plan = plan or ShardPlan(0)
        self.expected = 0
        self.emitted: list[Row] = []
        self.rejected: list[Row] = []
        self.metrics: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.models: list[Path] = []
        self._rows = rows
        self._engines = dict(engines or {})

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        for row in self._rows:
            yield row if columns is None else {name: row[name] for name in columns}

    def expect(self, units: int) -> None:
        self.expected += units

    def emit(self, row: Row) -> None:
        self.emitted.append(row)

    def reject(
        self, id: str, source_ids: Sequence[str], reason: str, original: object, detail: str = ""
    ) -> None:
        assert reason in REASONS
        self.rejected.append(
            {
                "id": id,
                "source_ids": list(source_ids),
                "reason": reason,
                "original": original,
                "detail": detail,
            }
        )

    def engine(self, name: str) -> ChatModel:
        return self._engines[name]

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        assert total is None or done <= total

    def metric(self, name: str, value: object) -> None:
        self.metrics[name] = value

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def publish_model(self, folder: Path) -> None:
        self.models.append(folder)

    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.run.lake.storage, "checkpoints", "a" * 12, lambda: None)

    def receipt(self, unit: str, shard: int = 0) -> Receipt:
        """What a stage sums up of this work; its accounts are left empty."""
        return Receipt(
            shard=shard,
            attempt="a",
            epoch=1,
            accounting=Accounting(unit=unit),
            metrics=self.metrics,
            worker="w",
            started_at="",
            ended_at="",
        )

    def assert_accounts_close(self) -> None:
        """Everything taken in came out or was rejected, each under an id of its own."""
        assert self.expected == len(self.emitted) + len(self.rejected)
        ids = [row["id"] for row in (*self.emitted, *self.rejected)]
        assert len(set(ids)) == len(ids)
