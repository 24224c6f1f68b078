"""The whole recipe, its canonical form and fingerprint."""

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator

from parrot_core.recipe.base import OPERATIONAL, SLUG, Model
from parrot_core.recipe.cluster import Cluster
from parrot_core.recipe.data import Filter, Ingest, Seeds, Synthesize
from parrot_core.recipe.engines import Engine
from parrot_core.recipe.evaluation import Evaluate
from parrot_core.recipe.preferences import CaPO, Select
from parrot_core.recipe.training import TrainAsk, TrainDpo, TrainSft

WorkerCount = Annotated[int, Field(ge=1, le=4096)]


class Traces(Model):
    """OpenTelemetry spans; where they go is for the environment to say."""

    requests: float = Field(
        0.01,
        ge=0,
        le=1,
        json_schema_extra=OPERATIONAL,
        description="Share of the sessions of which every request gets a span.",
    )


class Recipe(Model):
    """One run of the factory, from ShareGPT records to an evaluated Parrot-Chat."""

    name: str = Field(pattern=SLUG, description="Name of the run and of every version it makes.")
    description: str = Field("", max_length=2000, description="A line for people.")
    seed: int = Field(42, ge=0, lt=2**31, description="Seed of every random choice.")
    lake: str = Field(
        ".parrot/lake",
        json_schema_extra=OPERATIONAL,
        description="Where versions live: a path, file://, s3://bucket/prefix, or any fsspec URL.",
    )
    budget_usd: float | None = Field(
        None, gt=0, json_schema_extra=OPERATIONAL, description="Hard stop before this cost."
    )
    finish_within_hours: float | None = Field(
        None,
        gt=0,
        json_schema_extra=OPERATIONAL,
        description=(
            "Hours from its beginning in which the run should be done. It isn't stopped then: "
            "metrics say by how much it is behind, and alerts that it is."
        ),
    )
    traces: Traces | None = Field(
        None,
        json_schema_extra=OPERATIONAL,
        description=(
            "Send OpenTelemetry spans of the run, its stages and shards, and of some requests, "
            "by OTLP to where the variables OTEL_EXPORTER_OTLP_… say; {} is enough. None: nothing."
        ),
    )
    shards_at_once: int = Field(
        4, ge=1, le=256, json_schema_extra=OPERATIONAL, description="Shards in work at once."
    )
    workers: WorkerCount | dict[str, WorkerCount] = Field(
        1,
        json_schema_extra=OPERATIONAL,
        description=(
            "Workers of each stage on Prefect's work pools or on a cluster, or of the stages "
            "named: `{synthesize: 8}`. Each is a process of its own that pulls shards."
        ),
    )
    cluster: Cluster | None = Field(
        None,
        json_schema_extra=OPERATIONAL,
        description=(
            "Run the workers on a Ray cluster, e.g. {address: ray://head:10001}; it needs "
            "`parrot-factory[ray]`. None: in this process, or on Prefect's work pools."
        ),
    )
    shard_retries: int = Field(
        1,
        ge=0,
        le=20,
        json_schema_extra=OPERATIONAL,
        description="Further tries of a failed shard.",
    )
    max_attempts: int = Field(
        6,
        ge=1,
        le=1000,
        json_schema_extra=OPERATIONAL,
        description=(
            "Failed attempts, over all retries, after which a shard is put into quarantine "
            "and left alone. One that bought new answers or reached a new checkpoint doesn't "
            "count, nor does a reached budget or a refused key."
        ),
    )
    ask_first: bool = Field(
        True,
        json_schema_extra=OPERATIONAL,
        description=(
            "Before the first shard of a stage ask each API one tiny request with the stage's own "
            "parameters, so that what is refused stops the run at once."
        ),
    )
    allow_empty: tuple[str, ...] = Field(
        (),
        json_schema_extra=OPERATIONAL,
        description=(
            "Stages that may publish nothing though they took rows in, e.g. [select]; any other "
            "that rejects all its rows fails the run."
        ),
    )
    max_reject_share: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        {},
        json_schema_extra=OPERATIONAL,
        description=(
            "Largest share of its rows that a stage may reject, e.g. {synthesize: 0.2}. The run "
            "stops as soon as it is passed (judged from 100 rows on, or by all there are)."
        ),
    )
    inputs: dict[str, str] = Field(
        {},
        description=(
            "Datasets or models taken from an earlier run instead of made anew, e.g. "
            "{parrot-ask: 2026-11-15}. Stages that would make them are skipped."
        ),
    )
    stages: tuple[str, ...] | None = Field(
        None,
        json_schema_extra=OPERATIONAL,
        description=(
            "The stages that a run makes unless it is told others; null makes all. Sections that "
            "none of them reads may be left out."
        ),
    )
    engines: dict[str, Engine] = Field({}, description="Engines by the name the stages use.")
    ingest: Ingest = Ingest()
    train_ask: TrainAsk = TrainAsk()
    seeds: Seeds = Seeds()
    synthesize: Synthesize = Synthesize()
    filter: Filter = Filter()
    train_sft: TrainSft = TrainSft()
    select: Select = Select()
    capo: CaPO = CaPO()
    train_dpo: TrainDpo = TrainDpo()
    evaluate: Evaluate = Evaluate()

    @model_validator(mode="after")
    def _no_opening_trains_and_seeds(self) -> "Recipe":
        if self.seeds.from_training and self.train_ask.learn_first_query:
            raise ValueError(
                "seeds.from_training lets the asker's training sessions seed dialogues; expected "
                "train_ask.learn_first_query: false, so that no opening query does both"
            )
        return self

    def workers_of(self, stage: str) -> int:
        return self.workers if isinstance(self.workers, int) else self.workers.get(stage, 1)

    def canonical(self) -> dict[str, Any]:
        """The values that decide what a run produces: all but the operational ones."""
        result = _without_operational(self)
        assert isinstance(result, dict)
        return result

    def fingerprint(self) -> str:
        """SHA-256 of :meth:`canonical`, as 64 hex digits."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _without_operational(value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: _without_operational(getattr(value, name))
            for name, info in fields.items()
            if info.json_schema_extra != OPERATIONAL
        }
    if isinstance(value, dict):
        return {key: _without_operational(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_operational(item) for item in value]
    return value


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield one line for each value that two canonical recipes don't share."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            below = f"{path}.{key}" if path else str(key)
            yield from differences(before.get(key), after.get(key), below)
    elif before != after:
        yield f"{path}: {json.dumps(before)} → {json.dumps(after)}"
