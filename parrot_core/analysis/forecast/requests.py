"""What a recipe will ask of its engines, before anything is spent: requests, tokens, money, hours.

A forecast is arithmetic on the recipe and a few figures of a :class:`Basis`. It counts what a
session costs as its history grows: the prompt of turn *t* holds all that was said before.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from parrot_core.analysis.forecast.trainings import TrainingForecast, training_forecast
from parrot_core.engines.limits.budget import cost_usd
from parrot_core.engines.limits.prices import price_of
from parrot_core.execution.runs import is_pinned, is_published
from parrot_core.lake.run import Run
from parrot_core.recipe import OpenAIEngine, Price
from parrot_core.stages.base import Stage
from parrot_core.stages.forecasting import Basis, Examples, Load, Requests, Sizes
from parrot_core.stages.registry import STAGES

OVERHEAD_S = 0.5
"""Of a request, beside its tokens."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A load with its price and time."""

    stage: str
    engine: str
    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None  # None: the price isn't known
    hours: float
    bound: str  # what makes it take so long


@dataclass(frozen=True, slots=True)
class StageForecast:
    """One stage: ``hours`` is None for what no engine does (trainings, ingest)."""

    stage: str
    state: str  # "to do", "published" or "pinned"
    loads: tuple[Expected, ...]
    hours: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """A whole run."""

    run: str
    stages: tuple[StageForecast, ...]
    basis: Basis
    seeds: int
    budget_usd: float | None
    trainings: tuple[TrainingForecast, ...] = ()

    @property
    def loads(self) -> tuple[Expected, ...]:
        return tuple(load for stage in self.stages for load in stage.loads)

    @property
    def usd(self) -> float:
        """Dollars, as far as prices are known."""
        return sum(load.usd or 0.0 for load in self.loads)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Engines of providers whose price isn't known."""
        return tuple(dict.fromkeys(load.engine for load in self.loads if load.usd is None))

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        totals = {
            "requests": sum(load.requests for load in self.loads),
            "prompt_tokens": sum(load.prompt_tokens for load in self.loads),
            "completion_tokens": sum(load.completion_tokens for load in self.loads),
            "usd": self.usd,
            "hours": sum(stage.hours or 0.0 for stage in self.stages),
        }
        return {**plain, "totals": totals, "unpriced": self.unpriced}


def forecast(run: Run, basis: Basis, wanted: Sequence[Stage] = STAGES) -> Forecast:
    """What is left to do of the wanted stages of a run, one by one.

    Raises:
        SourceError: the benchmark's questions can't be read.
    """
    sizes = Sizes(run, basis)
    stages, trainings = [], []
    for stage in wanted:
        if is_published(run, stage):
            state = "pinned" if is_pinned(run, stage) else "published"
            stages.append(StageForecast(stage.name, state, (), 0.0))
            continue
        work = stage.forecast(sizes)
        if isinstance(work, Requests):
            stages.append(_asking(run, basis, stage.name, work))
        else:
            stages.append(StageForecast(stage.name, "to do", (), None))
        if isinstance(work, Examples) and work.base:
            trainings.append(training_forecast(run, basis, stage.name, work))
    budget = run.recipe.budget_usd
    return Forecast(run.name, tuple(stages), basis, sizes.seeds, budget, tuple(trainings))


def _asking(run: Run, basis: Basis, stage: str, work: Requests) -> StageForecast:
    loads: dict[str, Load] = {}
    for load in work.loads:
        loads[load.engine] = loads[load.engine].plus(load) if load.engine in loads else load
    expected = tuple(_expected(run, basis, stage, load, work) for load in loads.values())
    # A session asks one engine after the other, so all its waiting adds up.
    serial = sum(load.requests * _seconds(run, basis, load) for load in loads.values())
    at_once = serial / (work.in_flight * run.recipe.shards_at_once) / 3600
    hours = max([at_once, *(each.hours for each in expected)])
    return StageForecast(stage, "to do", expected, hours)


def _expected(run: Run, basis: Basis, stage: str, load: Load, work: Requests) -> Expected:
    settings = run.recipe.engines[load.engine]
    price = price_of(settings)
    usd = cost_usd(price, round(load.prompt_tokens), round(load.completion_tokens))
    batch = settings.batch if isinstance(settings, OpenAIEngine) else None
    hours, bound = _hours(run, basis, load)
    if batch is not None:
        usd *= 1 - batch.discount
        hours, bound = 24.0 * work.rounds, "batches, up to 24 h each"
    return Expected(
        stage,
        load.engine,
        settings.model,
        math.ceil(load.requests),
        math.ceil(load.prompt_tokens),
        math.ceil(load.completion_tokens),
        usd if _priced(price, settings) else None,
        hours,
        bound,
    )


def _priced(price: Price | None, settings: object) -> bool:
    return price is not None or not isinstance(settings, OpenAIEngine)


def _hours(run: Run, basis: Basis, load: Load) -> tuple[float, str]:
    """The longest of what each limit takes, and which one it is."""
    limits = run.recipe.engines[load.engine].limits
    seconds = load.requests * _seconds(run, basis, load)
    bounds = {f"concurrency {limits.concurrency}": seconds / limits.concurrency / 3600}
    if limits.requests_per_minute is not None:
        rate = limits.requests_per_minute
        bounds[f"{rate:,} requests/min"] = load.requests / rate / 60
    if limits.tokens_per_minute is not None:
        tokens = load.prompt_tokens + load.completion_tokens
        bounds[f"{limits.tokens_per_minute:,} tokens/min"] = tokens / limits.tokens_per_minute / 60
    bound = max(bounds, key=lambda name: bounds[name])
    return bounds[bound], bound


def _seconds(run: Run, basis: Basis, load: Load) -> float:
    api = isinstance(run.recipe.engines[load.engine], OpenAIEngine)
    speed = (basis.api_speed if api else basis.own_speed).value
    return OVERHEAD_S + load.completion_tokens / max(1.0, load.requests) / speed
