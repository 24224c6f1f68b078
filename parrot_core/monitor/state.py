"""The state of a run as values: frozen, complete, and ready to be shown or sent as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic_core import to_jsonable_python

from parrot_core.lake.attempts import AttemptFailure
from parrot_core.lake.manifest import EngineUsage
from parrot_core.lake.metrics import TrainingMetrics, TruncationMetrics
from parrot_core.monitor.costs import known_usd, unpriced, usage_of
from parrot_core.monitor.shard_state import ShardState, ShardStatus, StageWorker
from parrot_core.telemetry.traffic import Traffic, sum_traffic

RunStatus = Literal[
    "waiting",
    "starting",
    "running",
    "stalled",
    "paused",
    "budget_reached",
    "partially_failed",
    "failed",
    "cancelled",
    "done",
]
"""What a run can be; page, terminal, metrics and report know no other states (``statuses``)."""

StageStatus = RunStatus | Literal["pinned", "skipped"]
Kind = Literal["dataset", "model"]


def status_words(status: str) -> str:
    """A status as people read it: ``partially failed``."""
    return status.replace("_", " ")


class StageSpec(NamedTuple):
    """A stage as the monitor needs to know it; the registry's ``STAGE_SPECS`` has them all."""

    name: str
    output: str
    kind: Kind
    only_for: str = ""  # the one dataset that is made of its output, which is of no other use

    def pinned(self, inputs: Mapping[str, str]) -> str | None:
        """The version that pins take its output from; None for one that a run makes itself.

        Who pins what was made of it needs it no more: it needn't even be there.
        """
        return inputs.get(self.output, inputs.get(self.only_for))


@dataclass(frozen=True, slots=True)
class StageState:
    """One stage: its shards together, or its manifest once it is published."""

    name: str
    output: str
    kind: Kind
    status: StageStatus
    version: str
    unit: str = ""
    done: int = 0
    total: int | None = None
    rate: float | None = None  # units a second, of all running shards together
    eta_s: float | None = None
    seconds: float = 0.0  # wall clock while at least one shard was in work
    source_rows: int | None = None
    rows_in: int = 0
    rows_out: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, EngineUsage] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    shards: tuple[ShardState, ...] = ()
    workers: tuple[StageWorker, ...] = ()
    failure: AttemptFailure | None = None  # what ended the stage as a whole, before a plan even
    planned_at: datetime | None = None  # until published; its engines may still be starting
    updated_at: datetime | None = None
    published: bool = False

    @property
    def waiting(self) -> Mapping[str, str]:
        """Engines that wait for something, such as a batch, and for what, in words for people."""
        running = sorted(self.having("running"), key=lambda shard: str(shard.updated_at))
        return {engine: what for shard in running for engine, what in shard.waiting.items()}

    @property
    def pause(self) -> str:
        """Why the stage stands still, or a part of it: the budget, or what a provider refuses."""
        for shard in self.having("paused"):
            if shard.last_error is not None:
                return shard.last_error.message
        if self.status not in ("running", "paused"):
            return ""  # what those who are gone said last
        running = self.having("running")
        return next((why for shard in running for why in shard.paused.values()), "")

    @property
    def percent(self) -> float | None:
        """How much of the work is done, 0 to 100; unknown until the total is."""
        if self.status in ("done", "pinned"):
            return 100.0
        if not self.total:
            return None
        return min(100.0, 100.0 * self.done / self.total)

    @property
    def usd(self) -> float:
        return sum(item.usd for item in self.usage.values())

    @property
    def tokens(self) -> int:
        """Tokens of all engines, or the tokens that a training saw."""
        used = sum(item.tokens for item in self.usage.values())
        trained = TrainingMetrics.read(self.metrics).tokens if self.kind == "model" else 0
        return used or trained

    @property
    def rejects(self) -> int:
        """Units put aside, for whatever reason."""
        return sum(self.rejected.values())

    @property
    def truncated_share(self) -> float | None:
        """Share of the units with a text that was cut at the limit of tokens, where it is known.

        Where cut texts are kept, a session may have cut ones of both sides, and is counted twice.
        """
        if self.published:
            if "truncated" not in self.metrics or not self.rows_in:
                return None
            told = sum(TruncationMetrics.read(self.metrics).truncated.values())
            return min(1.0, told / self.rows_in)
        seen = [shard for shard in self.shards if "truncated" in shard.figures and shard.done]
        cut = sum(shard.figures["truncated"] for shard in seen)
        return min(1.0, cut / sum(shard.done for shard in seen)) if seen else None

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        """Requests by engine; in flight are those of shards in work, as these last said."""
        return sum_traffic(shard.traffic for shard in self.shards)

    @property
    def advanced_at(self) -> datetime | None:
        """When a unit was last done, or else when the first attempt in work began.

        None unless a shard is in work.
        """
        running = self.having("running")
        if not running:
            return None
        done = [shard.advanced_at for shard in self.shards if shard.advanced_at]
        begun = [shard.started_at for shard in running if shard.started_at]
        return max((*done, *([min(begun)] if begun else [])), default=None)

    @property
    def failed(self) -> int:
        """Shards that failed, those in quarantine among them."""
        return len(self.having("failed"))

    @property
    def quarantined(self) -> int:
        """Shards that failed so often that runs leave them alone."""
        return sum(shard.quarantined for shard in self.having("failed"))

    @property
    def attended(self) -> bool:
        if self.workers:
            return any(each.alive for each in self.workers)
        return bool(self.having("running"))

    @property
    def doing(self) -> str:
        """What the workers do before any shard is begun, such as starting engines."""
        return next((each.doing for each in self.workers if each.alive), "")

    @property
    def counted(self) -> bool:
        """Whether the stage keeps accounts: all that make rows do."""
        return self.kind == "dataset" or self.rows_in > 0

    @property
    def balance(self) -> int:
        """``rows_in - rows_out - rejects``: zero when the accounting closes."""
        return self.rows_in - self.rows_out - self.rejects

    def having(self, status: ShardStatus) -> tuple[ShardState, ...]:
        """The shards in ``status``."""
        return tuple(shard for shard in self.shards if shard.status == status)


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What a run says of itself before any stage has begun."""

    name: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    code_version: str = ""
    created_at: datetime | None = None
    stages: tuple[str, ...] | None = None  # all it was begun to make; None: the whole factory
    asked: tuple[str, ...] | None = None  # stages last asked for (``--until``); None: all of it
    damage: str = ""  # why its record can't be read; then only the name is known
    pause: str = ""  # who paused it, since when and why; empty while it may work
    stop: str = ""  # why it was stopped: a signal, or cancelled; empty while it goes on
    in_force: Mapping[str, Any] = field(default_factory=dict)  # its recipe with later overrides

    @property
    def description(self) -> str:
        """The recipe's line for people."""
        return str(self.recipe.get("description") or "")

    @property
    def budget_usd(self) -> float | None:
        """Dollars that the run may spend, after overrides; None without a bound."""
        budget = (self.in_force or self.recipe).get("budget_usd")
        known = isinstance(budget, int | float) and not isinstance(budget, bool)
        return float(budget) if known and budget is not None else None

    @property
    def seed(self) -> int:
        """Seed of every random choice of the run."""
        return int(self.recipe.get("seed") or 0)

    def wants(self, stage: str) -> bool:
        """Whether the run was begun for the stage, and it was asked for lately."""
        return all(some is None or stage in some for some in (self.stages, self.asked))


@dataclass(frozen=True, slots=True)
class RunState:
    """A run at one moment."""

    header: RunHeader
    status: RunStatus
    stages: tuple[StageState, ...]
    read_at: datetime
    updated_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.header.name

    @property
    def seconds(self) -> float:
        """Seconds of work of the stages that this run ran itself."""
        return sum(stage.seconds for stage in self.own_stages)

    @property
    def usd(self) -> float:
        return sum(stage.usd for stage in self.own_stages)

    @property
    def tokens(self) -> int:
        return sum(stage.tokens for stage in self.own_stages)

    @property
    def until(self) -> str:
        """The last stage that was asked for, if a later one of the run's was left for another day.

        Empty for a run that is for all of its stages.
        """
        begun_for, asked = self.header.stages, self.header.asked
        left = [stage for stage in self.stages if stage.status == "skipped"]
        if asked is None or not any(begun_for is None or s.name in begun_for for s in left):
            return ""
        wanted = [
            s for s in self.stages if s.name in asked or s.status not in ("skipped", "pinned")
        ]
        return wanted[-1].name if wanted else ""

    @property
    def status_text(self) -> str:
        """The status in words: a run that ended where it was meant to says where."""
        if self.status == "done" and self.until:
            return f"done until {self.until}"
        return status_words(self.status)

    @property
    def failed(self) -> int:
        """Shards that failed, in all stages that this run makes."""
        return sum(stage.failed for stage in self.own_stages)

    @property
    def quarantined(self) -> int:
        """Those of them that runs leave alone until a person says otherwise."""
        return sum(stage.quarantined for stage in self.own_stages)

    @property
    def attended(self) -> bool:
        """Whether a worker is at it now: only then can a pause hold anything."""
        return any(stage.attended for stage in self.own_stages)

    @property
    def final(self) -> bool:
        """Whether nothing is left that the run was begun for."""
        return self.status == "done" and not self.until

    @property
    def own_stages(self) -> tuple[StageState, ...]:
        """The stages that this run makes: neither pinned to an earlier run nor left out."""
        return tuple(stage for stage in self.stages if stage.status not in ("pinned", "skipped"))

    def since(self, moment: datetime) -> float:
        """Seconds from a moment to this look; 0 for one that a clock ahead of ours has told."""
        return max(0.0, (self.read_at - moment).total_seconds())

    def stage(self, name: str) -> StageState | None:
        """The stage called ``name``, if this pipeline has it."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def making(self, output: str) -> StageState | None:
        """The stage that makes the dataset or model ``output``."""
        return next((stage for stage in self.stages if stage.output == output), None)

    def to_json(self) -> dict[str, Any]:
        """The whole state in JSON's types, with the derived figures, for ``--json``."""
        plain = asdict(self)
        plain |= {"name": self.name, "status_text": self.status_text, "until": self.until or None}
        plain |= {"seconds": self.seconds}
        recipe, used = self.header.recipe, usage_of(self)
        plain |= {"usd": known_usd(used, recipe), "unpriced": unpriced(used, recipe)}
        plain |= {"tokens": self.tokens, "budget_usd": self.header.budget_usd}
        for data, stage in zip(plain["stages"], self.stages, strict=True):
            for shard in data["shards"]:
                del shard["timeline"], shard["curve"]  # to be drawn, not to be read
            usd = known_usd(stage.usage.items(), recipe)
            data |= {"percent": stage.percent, "usd": usd, "tokens": stage.tokens}
        return dict(to_jsonable_python(plain))
