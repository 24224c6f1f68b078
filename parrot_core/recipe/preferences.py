"""Settings of the stages that make preference pairs: select, capo."""

from pydantic import Field

from parrot_core.recipe.base import OPERATIONAL, STRATEGIES, Model, Sampling, Strategy


class Select(Model):
    """Which queries depend on their context: rules first, then an LLM judge (paper §3.3)."""

    judge: str | None = Field(
        "judge", description="Engine that confirms the rules' verdict; null uses rules alone."
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


class CaPO(Model):
    """Context-aware preference optimisation: negatives for a chosen answer (paper §3.3)."""

    writer: str = Field("answerer", description="Engine that writes the negatives.")
    strategies: tuple[Strategy, ...] = Field(
        STRATEGIES, description="Negatives to make (Table 6 compares them)."
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
    queries_per_shard: int = Field(256, ge=1, le=100_000, description="Queries a shard.")
    queries_in_flight: int = Field(
        32, ge=1, le=100_000, json_schema_extra=OPERATIONAL, description="Queries at once a shard."
    )
