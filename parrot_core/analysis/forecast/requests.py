"""What a recipe will ask of its engines, before anything is spent: requests, tokens, money, hours.

A forecast is arithmetic on the recipe and a few figures of a :class:`Basis`. It counts what a
session costs as its history grows: the prompt of turn *t* holds all that was said before.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from parrot_core.analysis.forecast.basis import Basis
from parrot_core.analysis.forecast.trainings import TrainingForecast, training_forecasts
from parrot_core.benchmarks.benchmark import selected_benchmark
from parrot_core.engines.limits.budget import cost_usd
from parrot_core.engines.limits.prices import price_of
from parrot_core.execution.runs import is_pinned, is_published
from parrot_core.lake.run import Run
from parrot_core.recipe import OpenAIEngine, Price, Strategy
from parrot_core.stages.base import Stage
from parrot_core.stages.registry import STAGES

MESSAGE_TOKENS = 6.0
"""What a chat template adds to a message."""
OVERHEAD_S = 0.5
"""Of a request, beside its tokens."""
JUDGE_TOKENS = 450.0
"""The judge's instructions and three examples (evaluation/judge)."""
PAIR_TOKENS = 110.0
"""The judge's instructions for a comparison (evaluation/pairwise)."""
DEPENDS_TOKENS = 550.0
"""Instructions and at most four messages of 500 characters (capo/depends)."""
PICK_TOKENS = 500.0
"""Eight passages of at most 300 characters (capo/negatives)."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one stage asks of one engine."""

    engine: str
    requests: float
    prompt_tokens: float
    completion_tokens: float

    def plus(self, other: "Load") -> "Load":
        """Both together."""
        return Load(
            self.engine,
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


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
        """All loads of all stages."""
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
        """All figures in JSON's types."""
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
    seeds = _seeds(run)
    counted = _Counts(run, basis, seeds)
    stages = []
    for stage in wanted:
        if is_published(run, stage):
            state = "pinned" if is_pinned(run, stage) else "published"
            stages.append(StageForecast(stage.name, state, (), 0.0))
        else:
            stages.append(_stage(run, basis, stage.name, counted))
    trainings = tuple(training_forecasts(run, basis, {stage.name for stage in wanted}))
    return Forecast(run.name, tuple(stages), basis, seeds, run.recipe.budget_usd, trainings)


def _seeds(run: Run) -> int:
    version = run.version_of("seeds")
    if run.lake.published("dataset", "seeds", version):
        return run.lake.manifest("dataset", "seeds", version).accounting.rows_out
    return run.recipe.seeds.limit


class _Counts:
    """Requests and tokens of each stage that asks engines."""

    def __init__(self, run: Run, basis: Basis, seeds: int) -> None:
        self._run = run
        self._recipe = run.recipe
        self._basis = basis
        self._seeds = seeds
        self.by_stage: Mapping[str, Callable[[], Iterator[Load]]] = {
            "synthesize": self.synthesize,
            "select": self.select,
            "capo": self.capo,
            "evaluate": self.evaluate,
            "compare": self.compare,
        }

    def synthesize(self) -> Iterator[Load]:
        """Turn by turn, as long as a session goes on; its history grows."""
        settings, basis = self._recipe.synthesize, self._basis
        answer = min(basis.answer.value, settings.answer.max_tokens)
        ask = min(basis.follow_up.value, settings.ask.max_tokens)
        answers = Load(settings.answerer, 0, 0, 0)
        questions = Load(settings.asker, 0, 0, 0)
        alive, history = float(self._seeds), MESSAGE_TOKENS
        for turn in range(1, settings.max_turns + 1):
            query = basis.first_query.value if turn == 1 else ask
            history += query + MESSAGE_TOKENS
            answers = answers.plus(Load("", alive, alive * history, alive * answer))
            history += answer + MESSAGE_TOKENS
            if turn < settings.max_turns:
                questions = questions.plus(Load("", alive, alive * history, alive * ask))
                alive *= basis.goes_on.value
        yield answers
        yield questions

    def select(self) -> Iterator[Load]:
        """The judge sees follow-ups with a cue, until enough are confirmed."""
        settings, basis = self._recipe.select, self._basis
        if settings.judge is not None:
            asked = min(self._cued(), settings.limit / basis.confirmed.value)
            yield Load(settings.judge, asked, asked * DEPENDS_TOKENS, asked * 4)

    def capo(self) -> Iterator[Load]:
        """One request for neglect, two for each of the others, one to complete a query."""
        settings, basis = self._recipe.capo, self._basis
        confirmed = 1.0 if self._recipe.select.judge is None else basis.confirmed.value
        queries = min(self._recipe.select.limit, self._cued() * confirmed)
        answer = min(basis.answer.value, settings.sampling.max_tokens)
        query = basis.follow_up.value
        history = self._recipe.synthesize.max_turns / 2 * (query + answer)
        completed = Load("", 2, history + 2 * query + 150, answer + query)
        if settings.oracle:
            yield Load(
                settings.writer,
                2 * queries,
                queries * completed.prompt_tokens,
                queries * completed.completion_tokens,
            )
        each: dict[Strategy, Load] = {
            "neglect": Load("", 1, query + 12, answer),
            "hallucination": Load("", 2, 2 * query + 200, answer + 20),
            "misunderstanding": Load("", 2, 2 * query + PICK_TOKENS + 200, answer + 4),
        }
        for strategy in settings.strategies:
            load = each.get(strategy, completed)
            tokens = (queries * load.prompt_tokens, queries * load.completion_tokens)
            yield Load(settings.writer, queries * load.requests, *tokens)
            if settings.judge is not None:
                read = history + 2 * answer + PAIR_TOKENS
                yield Load(settings.judge, 2 * queries, 2 * queries * read, 2 * queries * 4)

    def evaluate(self) -> Iterator[Load]:
        """Each subject answers every turn; the judge reads it with its history and reference."""
        settings, basis = self._recipe.evaluate, self._basis
        questions = selected_benchmark(settings)
        answer = min(basis.answer.value, settings.answer.max_tokens)
        for engine in settings.subjects.values():
            for question in questions.questions:
                history = MESSAGE_TOKENS
                for turn, text in enumerate(question.turns, 1):
                    history += len(text) / 4 + MESSAGE_TOKENS
                    yield Load(engine, 1, history, answer)
                    history += answer + MESSAGE_TOKENS
                    reference = len(question.reference_of(turn) or "") / 4
                    yield Load(settings.judge, 1, history + reference + JUDGE_TOKENS, 8)

    def compare(self) -> Iterator[Load]:
        """The judge reads both conversations up to each answer, in both orders."""
        settings, basis = self._recipe.evaluate, self._basis
        if settings.baseline is None:
            return
        questions = selected_benchmark(settings)
        answer = min(basis.answer.value, settings.answer.max_tokens)
        pairs = len(settings.subjects) - 1
        for question in questions.questions:
            history = 0.0
            for text in question.turns:
                history += len(text) / 4 + answer + 2 * MESSAGE_TOKENS
                read = 2 * history + PAIR_TOKENS
                yield Load(settings.judge, 2 * pairs, 2 * pairs * read, 2 * pairs * 4)

    def _cued(self) -> float:
        settings, basis = self._recipe.synthesize, self._basis
        chance = basis.goes_on.value
        follow_ups = sum(chance**turn for turn in range(1, settings.max_turns))
        return self._seeds * basis.kept.value * follow_ups * basis.cues.value

    def in_flight(self, stage: str) -> int:
        """Most sessions of a stage at once."""
        recipe = self._recipe
        each = {
            "synthesize": recipe.synthesize.sessions_in_flight,
            "select": recipe.select.queries_in_flight,
            "capo": recipe.capo.queries_in_flight,
            "evaluate": recipe.evaluate.sessions_in_flight,
            "compare": recipe.evaluate.sessions_in_flight,
        }
        return each[stage] * recipe.shards_at_once

    def rounds(self, stage: str) -> int:
        """Batches one after another, where an engine is asked in batches."""
        turns = {"synthesize": self._recipe.synthesize.max_turns, "capo": 2}
        return turns.get(stage, 1)


def _stage(run: Run, basis: Basis, stage: str, counts: _Counts) -> StageForecast:
    if stage not in counts.by_stage:
        return StageForecast(stage, "to do", (), None)
    loads: dict[str, Load] = {}
    for load in counts.by_stage[stage]():
        loads[load.engine] = loads[load.engine].plus(load) if load.engine in loads else load
    expected = tuple(_expected(run, basis, stage, load, counts) for load in loads.values())
    # A session asks one engine after the other, so all its waiting adds up.
    serial = sum(load.requests * _seconds(run, basis, load) for load in loads.values())
    at_once = serial / counts.in_flight(stage) / 3600
    hours = max([at_once, *(each.hours for each in expected)])
    return StageForecast(stage, "to do", expected, hours)


def _expected(run: Run, basis: Basis, stage: str, load: Load, counts: _Counts) -> Expected:
    settings = run.recipe.engines[load.engine]
    price = price_of(settings)
    usd = cost_usd(price, round(load.prompt_tokens), round(load.completion_tokens))
    batch = settings.batch if isinstance(settings, OpenAIEngine) else None
    hours, bound = _hours(run, basis, load)
    if batch is not None:
        usd *= 1 - batch.discount
        hours, bound = 24.0 * counts.rounds(stage), "batches, up to 24 h each"
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
    """What one request takes."""
    api = isinstance(run.recipe.engines[load.engine], OpenAIEngine)
    speed = (basis.api_speed if api else basis.own_speed).value
    return OVERHEAD_S + load.completion_tokens / max(1.0, load.requests) / speed
