"""Statistics as a value: figures, curves and notes that page, terminal and scripts all show."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Unit = Literal["", "share", "percent"]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Value):
    """One number; ``low`` and ``high`` are its 95 % bootstrap interval, where it has one."""

    name: str
    title: str
    value: float | None  # None where nothing could be measured
    low: float | None = None
    high: float | None = None
    n: int  # of what was measured
    of: str  # what n counts
    unit: Unit = ""  # share: 0 to 1


class CurvePoint(_Value):
    """One point of a curve."""

    x: float
    value: float
    n: int


class Curve(_Value):
    """A figure over turns, or a distribution."""

    name: str
    title: str
    x_title: str
    unit: Unit = ""
    points: tuple[CurvePoint, ...]


class Found(_Value):
    """What one measure found."""

    figures: tuple[Figure, ...] = ()
    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()


class Agreement(_Value):
    """The rules and the LLM judge on the same queries."""

    judge: str  # model
    asked: int
    unreadable: int  # replies that were neither yes nor no
    both: int
    rules_only: int
    judge_only: int
    neither: int
    raw: Figure
    kappa: Figure
    judged_per_session: Figure
    requests: int
    usd: float | None  # at known prices, replayed completions included; None: unknown


class Statistics(_Value):
    """Everything that was measured on one set of sessions."""

    format: Literal[1] = 1
    label: str  # as a person names the set
    sessions: int
    measured: int  # sessions that went into the figures: all, or a sample
    seed: int
    tokenizer: str
    left_out: dict[str, int] = Field(default_factory=dict)  # records that give no session, by why
    languages: dict[str, int] = Field(default_factory=dict)
    figures: tuple[Figure, ...]
    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()
    human: str | None = None  # the human set that likeness was measured against
    agreement: Agreement | None = None

    def figure(self, name: str) -> Figure | None:
        return next((figure for figure in self.figures if figure.name == name), None)

    def curve(self, name: str) -> Curve | None:
        return next((curve for curve in self.curves if curve.name == name), None)
