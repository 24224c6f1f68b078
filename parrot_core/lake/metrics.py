"""What the metrics of a version say: one type a stage, which declares it (``Stage.metrics``).

A manifest keeps them as JSON. Publication refuses what the stage has not declared, and readers
take the part that they know: ``TruncationMetrics.read(manifest.metrics)``.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Counts = dict[str, int]
Shares = dict[str, float | None]


class Metrics(BaseModel):
    """The metrics of a stage that has none; the base of all others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, metrics: Mapping[str, Any]) -> Self:
        """What these metrics say of this type's; what they leave out has its default."""
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return cls.model_validate({k: v for k, v in metrics.items() if k in known})

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)


class RuleExample(Metrics):
    """A text before and after a cleaning rule."""

    id: str
    before: str
    after: str = ""


class CleaningMetrics(Metrics):
    """Of stages that clean texts: how often each rule changed one, and a few examples."""

    rules: Counts = Field(default_factory=dict)
    examples: dict[str, tuple[RuleExample, ...]] = Field(default_factory=dict)


class RecordsMetrics(CleaningMetrics):
    """Of ``ingest``."""

    records: int = 0
    layouts: Counts = Field(default_factory=dict)
    passed_over: Counts = Field(default_factory=dict)
    turns: Counts = Field(default_factory=dict)
    megabytes: float = 0.0
    seconds: float = 0.0
    mb_per_s: dict[str, float] = Field(default_factory=dict)  # by source


class ConversationMetrics(CleaningMetrics):
    """Of ``assemble``."""

    splits: Counts = Field(default_factory=dict)
    sources: Counts = Field(default_factory=dict)
    flags: Counts = Field(default_factory=dict)
    languages: Counts = Field(default_factory=dict)
    groups: Counts = Field(default_factory=dict)
    joined: Counts = Field(default_factory=dict)
    joined_examples: list[dict[str, JsonValue]] = Field(default_factory=list)
    numbered_records: Counts = Field(default_factory=dict)


class SeedMetrics(Metrics):
    """Of ``seeds``."""

    candidates: int = 0
    sources: Counts = Field(default_factory=dict)
    languages: Counts = Field(default_factory=dict)
    topics: int = 0


class TruncationMetrics(Metrics):
    """Of stages whose engines write texts: units with one that was cut, by its writer."""

    truncated: Counts = Field(default_factory=dict)


class DialogueMetrics(TruncationMetrics):
    """Of ``synthesize``."""

    turns: int = 0
    end_reasons: Counts = Field(default_factory=dict)
    guarded: Counts = Field(default_factory=dict)
    best_of: Counts = Field(default_factory=dict)


class FilterMetrics(Metrics):
    """Of ``filter``."""

    truncated_by_rule: Counts = Field(default_factory=dict)
    turns_in: int = 0
    turns_out: int = 0


class SelectMetrics(Metrics):
    """Of ``select``."""

    cues: Counts = Field(default_factory=dict)
    judge: Counts = Field(default_factory=dict)
    judge_proof: dict[str, float] = Field(default_factory=dict)


class PreferenceMetrics(TruncationMetrics):
    """Of ``capo``; by strategy."""

    asked: Counts = Field(default_factory=dict)
    pairs: Counts = Field(default_factory=dict)
    asked_back: Counts = Field(default_factory=dict)
    yields: Shares = Field(default_factory=dict, alias="yield")
    shares: dict[str, Shares] = Field(default_factory=dict)
    words: dict[str, Shares] = Field(default_factory=dict)
    chosen_longer: Shares = Field(default_factory=dict)
    answer_alone: Shares = Field(default_factory=dict)  # AUC of a classifier of the answer alone
    history_gain: float | None = None  # of the chosen answers, nats a token
    margin_gain: Shares = Field(default_factory=dict)  # of the pairs, likewise
    rejected: dict[str, Counts] = Field(default_factory=dict)


class HeldOut(Metrics):
    """Figures on held-out examples before and after a training; None without any."""

    before: dict[str, float] | None = None
    after: dict[str, float] | None = None


class TrainingExamples(Metrics):
    """What became of every row: ``rows`` = ``trained`` + ``heldout`` + all of ``left_out``."""

    rows: int
    trained: int
    heldout: int
    left_out: Counts
    sequences: int = 0
    clipped: int = 0
    turns: int = 0
    turns_cut: int = 0
    messages_cut: int = 0


class TrainingMetrics(Metrics):
    """Of a training."""

    base: str | None = None
    examples: TrainingExamples | None = None
    heldout: HeldOut = HeldOut()
    curve: list[dict[str, float]] = Field(default_factory=list)  # a point a step
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    tokens_per_s: float = 0.0
    parameters: int = 0
    device: str = ""
    processes: int = 1
    template: str = ""
    template_notes: list[str] = Field(default_factory=list)
    precision: str = ""
    phase_seconds: dict[str, float] = Field(default_factory=dict)
    session_end: dict[str, JsonValue] | None = None


class ScoreMetrics(TruncationMetrics):
    """Of ``evaluate``; by subject."""

    judge_prompt: str = ""
    subjects: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    sessions: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)


class ComparisonMetrics(Metrics):
    """Of ``compare``; by subject."""

    baseline: str | None = None
    pair_prompt: str = ""
    winners: dict[str, Counts] = Field(default_factory=dict)
    win_rates: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
