"""Settings of the stages that make dialogues: ingest, seeds, synthesize, filter."""

from typing import Literal

from pydantic import Field, model_validator

from parrot_core.recipe.base import OPERATIONAL, SLUG, Model, Sampling

FilterRule = Literal["malformed", "short", "repetitive", "sensitive"]


class Ingest(Model):
    """Source records to clean, split conversations."""

    sources: tuple[str, ...] = Field(
        min_length=1,
        description=(
            "ShareGPT-layout files: paths, s3:// or other fsspec URLs, or "
            "package://PACKAGE/FILE for data that an installed Python package ships."
        ),
    )
    limit: int | None = Field(None, ge=1, description="Read at most so many records a source.")
    languages: tuple[str, ...] = Field(
        ("en",), description="ISO 639-1 codes to keep; empty keeps every language."
    )
    min_turns: int = Field(1, ge=1, le=1000, description="Fewest user queries a session.")
    max_turns: int | None = Field(None, ge=1, description="Keep only the first so many turns.")
    max_message_chars: int = Field(
        20_000, ge=100, description="A session with a longer message is rejected."
    )
    heldout_fraction: float = Field(
        0.02, gt=0, lt=0.5, description="Share of sessions that no training ever sees."
    )
    seed_fraction: float = Field(
        0.25, gt=0, lt=1, description="Share of sessions whose first query seeds a new dialogue."
    )
    rows_per_file: int = Field(5000, ge=1, description="Sessions in one Parquet file.")

    @model_validator(mode="after")
    def _something_is_left(self) -> "Ingest":
        if self.max_turns is not None and self.max_turns < self.min_turns:
            raise ValueError(f"min_turns {self.min_turns} is above max_turns {self.max_turns}")
        if self.heldout_fraction + self.seed_fraction >= 1:
            raise ValueError("heldout_fraction and seed_fraction leave no session to train on")
        return self


class Seeds(Model):
    """First-turn queries that start a synthesized dialogue."""

    limit: int = Field(40_000, ge=1, description="Number of seeds (the paper: 40 K).")
    min_chars: int = Field(12, ge=1, description="Shortest query.")
    max_chars: int = Field(2000, ge=1, description="Longest query.")


class Synthesize(Model):
    """The dialogue loop: answer, ask, answer … (paper §3.2)."""

    asker: str = Field("asker", description="Engine that writes the user's turns (Parrot-Ask).")
    answerer: str = Field("answerer", description="Engine that writes the assistant's turns.")
    max_turns: int = Field(10, ge=1, le=100, description="Turns a session (the paper: 10).")
    min_turns: int = Field(
        2, ge=1, le=100, description="A session that ends earlier is rejected with its reason."
    )
    ask: Sampling = Field(Sampling(max_tokens=256), description="Sampling of queries.")
    answer: Sampling = Field(Sampling(max_tokens=1024), description="Sampling of responses.")
    sessions_per_shard: int = Field(
        256, ge=1, le=100_000, description="Sessions a shard: the unit of retry."
    )
    sessions_in_flight: int = Field(
        64, ge=1, le=100_000, json_schema_extra=OPERATIONAL, description="Sessions at once a shard."
    )

    @model_validator(mode="after")
    def _turns_in_order(self) -> "Synthesize":
        if self.min_turns > self.max_turns:
            raise ValueError(f"min_turns {self.min_turns} is above max_turns {self.max_turns}")
        return self


class Filter(Model):
    """Rules over synthesized dialogues. A query that fails ends the session there."""

    rules: tuple[FilterRule, ...] = Field(
        ("malformed", "short", "repetitive", "sensitive"),
        description="Names of the rules to apply, in order (see parrot_core/filters).",
    )
    min_turns: int = Field(2, ge=1, description="Fewest turns left, else the session is rejected.")
    min_query_chars: int = Field(8, ge=1, description="Shortest follow-up query.")
    max_similarity: float = Field(
        0.7, gt=0, le=1, description="ROUGE-L F1 with an earlier query above which it repeats."
    )
    flagged: str | None = Field(
        None,
        pattern=SLUG,
        description=(
            "Name of an export of rows that reviewers flagged (docs/dashboard.md): those sessions "
            "are rejected."
        ),
    )
