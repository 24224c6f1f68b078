"""Settings of the stages that make preference pairs: select, capo."""

from typing import Literal

from pydantic import Field

from parrot_core.recipe.base import (
    ALL_STRATEGIES,
    OPERATIONAL,
    STRATEGIES,
    Model,
    ModelRef,
    Sampling,
    Strategy,
)


class Select(Model):
    """Which queries depend on their context: rules first, then an LLM judge (paper §3.3)."""

    judge: str | None = Field(
        "judge", description="Engine that confirms the rules' verdict; null uses rules alone."
    )
    proof_queries: int = Field(
        40,
        ge=0,
        le=200,
        description=(
            "Before it is believed the judge is asked about so many queries of known label, half "
            "of them dependent; agreement (Cohen's κ) and share of yes are in the manifest. 0 "
            "asks none."
        ),
    )
    min_kappa: float = Field(
        0.2,
        ge=-1,
        le=1,
        description="Agreement below which the judge is not to be believed; 0.2 is slight.",
    )
    weak_judge: Literal["warn", "stop"] = Field(
        "warn",
        description="What to do with a judge below min_kappa, such as one that says yes to all.",
    )
    limit: int = Field(10_000, ge=1, description="Most queries to select (the paper: 10 K).")
    min_history_turns: int = Field(1, ge=1, description="Fewest turns before the query.")
    verdict: Sampling = Field(
        Sampling(temperature=0, max_tokens=16), description="Sampling of the judge."
    )
    sessions_per_shard: int = Field(256, ge=1, le=100_000, description="Sessions a shard.")
    queries_in_flight: int = Field(
        32, ge=1, le=100_000, json_schema_extra=OPERATIONAL, description="Queries at once a shard."
    )


class HistoryGain(Model):
    """What the history adds to answers and preferences, by a local model's likelihoods."""

    model: ModelRef = Field("lake:parrot-sft", description="The model that is asked.")
    min: float = Field(
        0.2,
        ge=-10,
        le=10,
        description=(
            "Least gain, in nats a token: log p(chosen answer | history) less log p(chosen answer "
            "| query alone). A query below it makes no pairs."
        ),
    )
    share: float = Field(
        1.0, gt=0, le=1, description="Of the queries that gain enough, the share that gain most."
    )
    min_margin: float = Field(
        0.0,
        ge=-10,
        le=10,
        description=(
            "Least that the history adds to the margin of the chosen answer over a negative, in "
            "nats a token; a pair below it is preferred for its style, and refused."
        ),
    )
    max_length: int = Field(
        2048, ge=64, le=1_000_000, description="Tokens of prompt and answers; older turns go first."
    )


class OnPolicy(Model):
    """Who writes and who judges the negatives of the strategy on_policy."""

    engine: str = Field("parrot-sft", description="Engine that serves the model to be trained.")
    judge: str = Field(
        "judge",
        description="Engine that says whether an answer is about what its query means, yes or no.",
    )


class CaPO(Model):
    """Context-aware preference optimisation: negatives for a chosen answer (paper §3.3)."""

    writer: str = Field("answerer", description="Engine that writes the negatives.")
    strategies: tuple[Strategy, ...] = Field(
        STRATEGIES,
        min_length=1,
        description=(
            "Negatives to make, the paper's three unless said otherwise (Table 6 compares them); "
            f"there are {', '.join(ALL_STRATEGIES)}."
        ),
    )
    oracle: bool = Field(
        False,
        description=(
            "Complete each query from its history first (two calls more a query): one that stays "
            "as it is doesn't depend on the history, and a chosen answer must share words with "
            "the answer to the completed query. The paper doesn't."
        ),
    )
    on_policy: OnPolicy = Field(
        OnPolicy(), description="Engines of the strategy on_policy; read where it is wanted."
    )
    history_gain: HistoryGain | None = Field(
        None,
        description=(
            "Ask a local model what the history adds, and drop the queries and pairs to which it "
            "adds too little. Beside a vLLM engine on the same GPU it needs room: "
            "--gpu-memory-utilization. null asks none, as in the paper."
        ),
    )
    sampling: Sampling = Field(Sampling(max_tokens=1024), description="Sampling of negatives.")
    keep_truncated: bool = Field(
        False, description="Make pairs of negatives that were cut at max_tokens, too."
    )
    judge: str | None = Field(
        None,
        description=(
            "Engine that compares each negative with the chosen answer, in both orders; what it "
            "doesn't find worse is refused. null asks none, as in the paper."
        ),
    )
    verdict: Sampling = Field(
        Sampling(temperature=0, max_tokens=16), description="Sampling of that judge."
    )
    placebo: bool = Field(
        False,
        description=(
            "Have `synthesize.answerer` answer each query a second time, as in the dialogue. "
            "Nobody trains on it: a model that prefers the first answer to it in much more than "
            "half of the cases prefers what it has seen (`parrot accuracy`). The paper doesn't."
        ),
    )
    queries_per_shard: int = Field(256, ge=1, le=100_000, description="Queries a shard.")
    queries_in_flight: int = Field(
        32, ge=1, le=100_000, json_schema_extra=OPERATIONAL, description="Queries at once a shard."
    )
