"""The state of a run as values: frozen, complete, and ready to be shown or sent as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from parrot_core.telemetry.traffic import Traffic, sum_traffic

ShardStatus = Literal["waiting", "running", "stalled", "paused", "failed", "done"]
StageStatus = Literal["waiting", "running", "paused", "failed", "done", "pinned", "skipped"]
RunStatus = Literal["waiting", "running", "stalled", "paused", "failed", "done"]
Kind = Literal["dataset", "model"]


class StageSpec(NamedTuple):
    """A stage as the monitor needs to know it; ``pipeline.STAGES`` in order gives the list."""

    name: str
    output: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class EngineTotals:
    """Tokens, requests and dollars that one engine took."""

    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    requests: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "EngineTotals") -> "EngineTotals":
        """The sum, under this one's model."""
        return EngineTotals(
            self.model or other.model,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.requests + other.requests,
            self.usd + other.usd,
        )


@dataclass(frozen=True, slots=True)
class ShardFailure:
    """One failed attempt at a shard."""

    attempt: int
    error_type: str
    message: str
    traceback: str = ""
    worker: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShardState:
    """One shard: how far it is, how fast, what it took and why it failed.

    ``done`` and ``total`` count what the stage reports as progress (sessions, optimiser steps);
    ``rows_in`` and ``rows_out`` are the accounting's units and known once the shard is done.
    """

    index: int
    status: ShardStatus
    done: int = 0
    total: int | None = None
    seconds: float = 0.0
    attempts: int = 0
    worker: str = ""
    started_at: datetime | None = None
    updated_at: datetime | None = None
    advanced_at: datetime | None = None  # when a unit was last done
    rows_in: int = 0
    rows_out: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, EngineTotals] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)  # of all attempts, by engine
    figures: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)  # engine → what it waits for
    paused: Mapping[str, str] = field(default_factory=dict)  # engine → why it stands still
    failures: tuple[ShardFailure, ...] = ()
    quarantined: bool = False  # failed too often: runs leave it alone
    timeline: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Counters of the latest attempt since ``started_at``, as ``timeline.Timeline`` keeps them."""

    @property
    def last_error(self) -> ShardFailure | None:
        """The latest failed attempt, also of a shard that has recovered since."""
        return self.failures[-1] if self.failures else None


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
    usage: Mapping[str, EngineTotals] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    shards: tuple[ShardState, ...] = ()
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
        """Dollars spent on engines."""
        return sum(item.usd for item in self.usage.values())

    @property
    def tokens(self) -> int:
        """Tokens of all engines, or the tokens that a training saw."""
        used = sum(item.tokens for item in self.usage.values())
        trained = self.metrics.get("tokens")
        return used or (int(trained) if isinstance(trained, int | float) else 0)

    @property
    def rejects(self) -> int:
        """Units put aside, for whatever reason."""
        return sum(self.rejected.values())

    @property
    def truncated_share(self) -> float | None:
        """Share of the units with a text that was cut at the limit of tokens, where it is known."""
        if self.published:
            counts = self.metrics.get("truncated")
            if not isinstance(counts, Mapping) or not self.rows_in:
                return None
            numbers = [count for count in counts.values() if isinstance(count, int)]
            return sum(numbers) / self.rows_in
        seen = [shard for shard in self.shards if "truncated" in shard.figures and shard.done]
        cut = sum(shard.figures["truncated"] for shard in seen)
        return cut / sum(shard.done for shard in seen) if seen else None

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

    @property
    def description(self) -> str:
        """The recipe's line for people."""
        return str(self.recipe.get("description") or "")

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
        """The run's name."""
        return self.header.name

    @property
    def seconds(self) -> float:
        """Seconds of work of the stages that this run ran itself."""
        return sum(stage.seconds for stage in self.own_stages)

    @property
    def usd(self) -> float:
        """Dollars that this run spent."""
        return sum(stage.usd for stage in self.own_stages)

    @property
    def tokens(self) -> int:
        """Engine and training tokens of this run."""
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
        return f"done until {self.until}" if self.status == "done" and self.until else self.status

    @property
    def final(self) -> bool:
        """Whether nothing is left that the run was begun for."""
        return self.status == "done" and not self.until

    @property
    def own_stages(self) -> tuple[StageState, ...]:
        """The stages that this run makes: neither pinned to an earlier run nor left out."""
        return tuple(stage for stage in self.stages if stage.status not in ("pinned", "skipped"))

    def stage(self, name: str) -> StageState | None:
        """The stage called ``name``, if this pipeline has it."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def making(self, output: str) -> StageState | None:
        """The stage that makes the dataset or model ``output``."""
        return next((stage for stage in self.stages if stage.output == output), None)

    def to_json(self) -> dict[str, Any]:
        """The whole state in JSON's types, with the derived figures, for ``--json``."""
        plain = _plain(asdict(self))
        assert isinstance(plain, dict)
        plain |= {"name": self.name, "status_text": self.status_text, "until": self.until or None}
        plain |= {"seconds": self.seconds}
        plain |= {"usd": self.usd, "tokens": self.tokens}
        for data, stage in zip(plain["stages"], self.stages, strict=True):
            for shard in data["shards"]:
                del shard["timeline"]  # to be drawn, not to be read
            data |= {"percent": stage.percent, "usd": stage.usd, "tokens": stage.tokens}
        return plain


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
