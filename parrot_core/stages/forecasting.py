"""What a stage says of the work ahead of it: what a forecast adds up before anything is spent."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from parrot_core.lake.run import Run
from parrot_core.recipe import Recipe, Training

MESSAGE_TOKENS = 6.0
"""What a chat template adds to a message."""


@dataclass(frozen=True, slots=True)
class SourcedFigure:
    """One number and where it comes from."""

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Basis:
    """The figures of a forecast: lengths in tokens, speeds in tokens a second, memory in GB."""

    first_query: SourcedFigure = SourcedFigure(
        60, "assumed: ShareGPT's openings, cut to seeds.max_chars"
    )
    follow_up: SourcedFigure = SourcedFigure(
        35, "assumed: a follow-up question is a sentence or two"
    )
    answer: SourcedFigure = SourcedFigure(240, "assumed: a chat model's answer, without a limit")
    goes_on: SourcedFigure = SourcedFigure(
        0.969, "assumed: chance of a next turn; Parrot-40K has 8.7 turns of 10"
    )
    truncated: SourcedFigure = SourcedFigure(
        0.0, "assumed: texts end before max_tokens; `parrot preview` shows it"
    )
    kept: SourcedFigure = SourcedFigure(0.9, "assumed: share of sessions that the filter keeps")
    cues: SourcedFigure = SourcedFigure(
        0.3, "assumed: share of follow-ups with a cue for the judge"
    )
    confirmed: SourcedFigure = SourcedFigure(0.7, "assumed: share of them that the judge confirms")
    api_speed: SourcedFigure = SourcedFigure(60, "assumed: one request at an API")
    own_speed: SourcedFigure = SourcedFigure(30, "assumed: one request at vLLM among many")
    session_turns: SourcedFigure = SourcedFigure(
        6.67, "assumed: ShareGPT's, Sun et al. 2024, Table 1"
    )
    gpu_peak: SourcedFigure = SourcedFigure(312, "assumed: A100, dense bf16 (its data sheet)")
    gpu_used: SourcedFigure = SourcedFigure(
        0.4, "assumed: model-FLOPs utilisation; not measured here"
    )
    gpu_memory: SourcedFigure = SourcedFigure(80, "assumed: A100 80 GB")
    gpu_reserve: SourcedFigure = SourcedFigure(
        3, "assumed: context, communication buffers, fragmentation"
    )

    def figures(self) -> Iterator[tuple[str, SourcedFigure]]:
        for name in self.__dataclass_fields__:
            yield name, getattr(self, name)


@dataclass(frozen=True, slots=True)
class Load:
    """What one stage asks of one engine."""

    engine: str
    requests: float
    prompt_tokens: float
    completion_tokens: float

    def plus(self, other: "Load") -> "Load":
        return Load(
            self.engine,
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of a stage that asks engines."""

    loads: tuple[Load, ...]
    in_flight: int  # most units in work at once, in one shard
    rounds: int = 1  # batches one after another, where an engine is asked in batches


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of a stage that trains."""

    settings: Training
    base: str
    number: float
    tokens: float  # of an example, on average
    longest_answer: int = 0  # tokens; of preference pairs


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there will be of what earlier stages make."""

    run: Run
    basis: Basis = field(default_factory=Basis)

    @property
    def recipe(self) -> Recipe:
        return self.run.recipe

    @property
    def seeds(self) -> int:
        limit = self.recipe.seeds.limit
        most = self.rows("conversations", self.rows("records", limit))
        return round(self.rows("seeds", min(limit, most)))

    @property
    def turns(self) -> float:
        """Turns of a synthesized session, on average."""
        chance = self.basis.goes_on.value
        return sum(chance**turn for turn in range(self.recipe.synthesize.max_turns))

    @property
    def turn_tokens(self) -> float:
        return self.basis.follow_up.value + self.basis.answer.value + 2 * MESSAGE_TOKENS

    @property
    def cued(self) -> float:
        """Follow-ups with a cue that they lean on their conversation."""
        return self.seeds * self.basis.kept.value * (self.turns - 1) * self.basis.cues.value

    def answer(self, max_tokens: int) -> float:
        return min(self.basis.answer.value, max_tokens)

    def rows(self, dataset: str, otherwise: float) -> float:
        """Rows of a published version, or what is expected of it."""
        version = self.run.version_of(dataset)
        if self.run.lake.published("dataset", dataset, version):
            return self.run.lake.manifest("dataset", dataset, version).accounting.rows_out
        return otherwise
