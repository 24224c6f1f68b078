"""Everything a run can be told, as validated models: YAML in, every knob bounded and described.

The descriptions are written for users: Prefect's UI renders them as a form and
``docs/recipe.md`` is made from them. Values marked *operational* (limits, concurrency, budget,
addresses) don't change what a run produces, so a run may be resumed with other ones.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict

from parrot_core.errors import RecipeError

OPERATIONAL: JsonDict = {"operational": True}
SLUG = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"

Strategy = Literal["neglect", "hallucination", "misunderstanding"]
STRATEGIES: tuple[Strategy, ...] = ("neglect", "hallucination", "misunderstanding")

FilterRule = Literal["malformed", "short", "repetitive", "sensitive"]

ModelRef = Annotated[
    str,
    Field(
        min_length=1,
        description=(
            "A model: a Hugging Face id, a local folder, `lake:NAME` (this run's version) or "
            "`lake:NAME@VERSION`, or `package://PACKAGE/FILE.gguf` (a GGUF file that an installed "
            "Python package ships; converted once)."
        ),
    ),
]


class Model(BaseModel):
    """Strict base: an unknown key is an error, not a silent default."""

    # Defaults are validated so that 3 and 3.0 have one fingerprint.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Sampling(Model):
    """How an engine samples one completion."""

    temperature: float = Field(0.7, ge=0, le=2, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling mass.")
    max_tokens: int = Field(512, ge=1, le=32768, description="Longest completion, in tokens.")
    stop: tuple[str, ...] = Field((), description="Strings that end a completion.")
    frequency_penalty: float = Field(0.0, ge=-2, le=2, description="OpenAI's frequency penalty.")
    repetition_penalty: float | None = Field(
        None, gt=0, le=2, description="vLLM's repetition penalty; not sent when unset."
    )


class Price(Model):
    """What a provider charges, in US dollars for a million tokens, and when that was true."""

    input_per_million: float = Field(ge=0, description="Dollars for a million prompt tokens.")
    output_per_million: float = Field(ge=0, description="Dollars for a million completion tokens.")
    as_of: date = Field(description="The day on which this price was true.")


class Limits(Model):
    """What a provider lets us do with one model; shared by all workers of a run."""

    concurrency: int = Field(16, ge=1, le=4096, description="Requests in flight.")
    requests_per_minute: int | None = Field(None, ge=1, description="RPM; unset is unlimited.")
    tokens_per_minute: int | None = Field(
        None, ge=1, description="TPM, prompt and completion together; unset is unlimited."
    )
    max_retries: int = Field(
        6,
        ge=0,
        le=50,
        description=(
            "Tries again of a request that fails (5xx, broken connection) while the provider "
            "answers others; a 429 doesn't count."
        ),
    )
    timeout_s: float = Field(300, gt=0, le=3600, description="Longest wait for one completion.")
    pause_after_s: float = Field(
        30,
        gt=0,
        le=3600,
        description="A provider that answered nothing for so long is paused, and probed instead.",
    )
    max_pause_s: float = Field(
        3600,
        ge=0,
        le=604_800,
        description=(
            "Longest pause; then the run ends with a clear error and can be resumed. 0 never "
            "pauses: a request that keeps failing fails its shard."
        ),
    )


class _Engine(Model):
    limits: Limits = Field(Limits(), json_schema_extra=OPERATIONAL, description="Rate limits.")
    price: Price | None = Field(
        None,
        json_schema_extra=OPERATIONAL,
        description=(
            "Price table. Unset: what parrot_core/engines/prices.yaml knows of the model, else "
            "nothing; a budget is refused for an API whose price isn't known."
        ),
    )


class VllmEngine(_Engine):
    """A model that the factory serves with vLLM for as long as a stage needs it."""

    kind: Literal["vllm"] = "vllm"
    model: ModelRef
    max_model_len: int = Field(4096, ge=64, le=1_048_576, description="Context, in tokens.")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="Precision of weights and activations."
    )
    args: tuple[str, ...] = Field(
        (),
        json_schema_extra=OPERATIONAL,
        description="More `vllm serve` arguments, e.g. --tensor-parallel-size=4.",
    )
    env: dict[str, str] = Field(
        {}, json_schema_extra=OPERATIONAL, description="Environment of the vLLM process."
    )
    replicas: int = Field(
        1,
        ge=1,
        le=64,
        json_schema_extra=OPERATIONAL,
        description="Processes that serve the model, each on its own GPUs or cores.",
    )
    start_timeout_s: float = Field(
        600, gt=0, le=7200, json_schema_extra=OPERATIONAL, description="Longest wait for the load."
    )


class BatchSettings(Model):
    """Buy by OpenAI's Batch API: a round of requests at half the price, answered within a day."""

    completion_window: Literal["24h"] = Field(
        "24h", description="How long the provider may take; what it doesn't do is asked again."
    )
    max_requests: int = Field(
        50_000, ge=1, le=50_000, description="Most requests in one batch (OpenAI: 50,000)."
    )
    max_file_mb: int = Field(
        200, ge=1, le=200, description="Largest input file of a batch (OpenAI: 200 MB)."
    )
    max_wait_s: float = Field(
        30,
        ge=0,
        le=3600,
        description="A round is ordered when no further request has come for so long.",
    )
    poll_s: float = Field(30, gt=0, le=3600, description="Seconds between looks at a batch.")
    grace_s: float = Field(
        60,
        ge=0,
        le=3600,
        description=(
            "How long the provider is searched for a batch whose order was cut off, before its "
            "requests are ordered anew."
        ),
    )
    discount: float = Field(
        0.5, ge=0, le=1, description="Taken off the price: 0.5 is half price (OpenAI's)."
    )


class OpenAIEngine(_Engine):
    """Any OpenAI-compatible chat API: OpenAI, a vLLM elsewhere, a gateway."""

    kind: Literal["openai"] = "openai"
    model: str = Field(min_length=1, description="The model's name at the provider.")
    base_url: str = Field(
        "https://api.openai.com/v1",
        pattern=r"^https?://",
        json_schema_extra=OPERATIONAL,
        description="Address of the API.",
    )
    replica_urls: tuple[str, ...] = Field(
        (),
        json_schema_extra=OPERATIONAL,
        description="Addresses of further replicas; a session stays with one of them.",
    )
    api_key_env: str | None = Field(
        "OPENAI_API_KEY",
        json_schema_extra=OPERATIONAL,
        description="Environment variable with the key; null when the API needs none.",
    )
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = Field(
        "max_completion_tokens",
        description="What the API calls the limit of a completion (older gateways: max_tokens).",
    )
    batch: BatchSettings | None = Field(
        None,
        json_schema_extra=OPERATIONAL,
        description=(
            "Buy through the Batch API, round by round, at a discount; null asks at once. Let "
            "sessions_in_flight be large then: each turn of all of them is one round."
        ),
    )


Engine = Annotated[VllmEngine | OpenAIEngine, Field(discriminator="kind")]


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
    queries_per_shard: int = Field(256, ge=1, le=100_000, description="Queries a shard.")
    queries_in_flight: int = Field(
        32, ge=1, le=100_000, json_schema_extra=OPERATIONAL, description="Queries at once a shard."
    )


class Lora(Model):
    """Low-rank adaptation instead of full fine-tuning; merged when the model is published."""

    r: int = Field(16, ge=1, le=1024, description="Rank.")
    alpha: int = Field(32, ge=1, description="Scale.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the adapter's input.")


class Training(Model):
    """What the three trainings share. Defaults are the paper's (§4.1.3)."""

    max_length: int = Field(4096, ge=64, description="Tokens a sequence; longer ones are cut.")
    epochs: float = Field(3, gt=0, le=100, description="Passes over the data.")
    max_steps: int | None = Field(None, ge=1, description="Stop after so many optimiser steps.")
    learning_rate: float = Field(3e-5, gt=0, le=1, description="Peak learning rate (AdamW).")
    lr_scheduler: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="Schedule after the warm-up."
    )
    warmup_epochs: float = Field(0.1, ge=0, le=10, description="Linear warm-up, in epochs.")
    batch_size: int = Field(32, ge=1, description="Sequences an optimiser step, over all devices.")
    per_device_batch_size: int = Field(
        4, ge=1, json_schema_extra=OPERATIONAL, description="Sequences a device at once."
    )
    gradient_checkpointing: bool = Field(
        False, json_schema_extra=OPERATIONAL, description="Recompute activations to save memory."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="auto: bf16 where the hardware has it."
    )
    lora: Lora | None = Field(None, description="LoRA settings; null trains every weight.")
    save_steps: int = Field(
        200, ge=1, json_schema_extra=OPERATIONAL, description="Steps between checkpoints."
    )
    accelerate_args: tuple[str, ...] = Field(
        (),
        json_schema_extra=OPERATIONAL,
        description="More `accelerate launch` arguments, e.g. --num_processes=8 --use_fsdp.",
    )
    max_examples: int | None = Field(None, ge=1, description="Train on at most so many examples.")
    eval_examples: int = Field(
        200, ge=0, description="Held-out examples for the loss before and after; 0 skips it."
    )


class TrainAsk(Training):
    """Parrot-Ask: loss on the user's tokens only (paper §3.1)."""

    base: ModelRef
    learn_first_query: bool = Field(
        True, description="Whether the opening query counts towards the loss."
    )


class TrainSft(Training):
    """Parrot-Chat SFT: loss on the assistant's tokens only (paper §3.2)."""

    base: ModelRef
    max_turns: int | None = Field(None, ge=1, description="Train on the first so many turns only.")
    heldout_fraction: float = Field(
        0.02, ge=0, lt=0.5, description="Share of sessions that only measure the loss."
    )


class TrainDpo(Training):
    """Parrot-Chat DPO on CaPO's pairs, from the SFT model (paper §3.3)."""

    learning_rate: float = Field(1e-5, gt=0, le=1, description="Peak learning rate (AdamW).")
    epochs: float = Field(1, gt=0, le=100, description="Passes over the pairs.")
    beta: float = Field(0.1, gt=0, le=10, description="β of the DPO loss (Rafailov et al. 2023).")
    strategies: tuple[Strategy, ...] = Field(
        STRATEGIES, description="Negatives to train on (Table 6)."
    )
    heldout_fraction: float = Field(
        0.1, ge=0, lt=0.5, description="Share of queries whose pairs only measure the margin."
    )


class Evaluate(Model):
    """An LLM judge scores a multi-turn benchmark turn by turn, 1–10 (Zheng et al. 2023)."""

    questions: str = Field(
        "package://parrot_core/evaluation/questions.jsonl",
        description="Questions in FastChat's JSONL layout (question_id, category, turns).",
    )
    subjects: dict[str, str] = Field(
        description="What is compared: a name shown in the report, and the engine it runs on."
    )
    judge: str = Field("judge", description="Engine that scores the answers.")
    limit: int | None = Field(None, ge=1, description="Only the first so many questions.")
    max_turns: int | None = Field(None, ge=1, description="Only the first so many turns.")
    answer: Sampling = Field(Sampling(max_tokens=1024), description="Sampling of answers.")
    verdict: Sampling = Field(
        Sampling(temperature=0, max_tokens=512), description="Sampling of the judge."
    )
    questions_per_shard: int = Field(
        20, ge=1, le=100_000, description="Questions of one subject in a shard."
    )
    sessions_in_flight: int = Field(
        16, ge=1, le=100_000, json_schema_extra=OPERATIONAL, description="Sessions at once."
    )


class Recipe(Model):
    """One run of the factory, from ShareGPT records to an evaluated Parrot-Chat."""

    name: str = Field(pattern=SLUG, description="Name of the run and of every version it makes.")
    description: str = Field("", max_length=2000, description="A line for people.")
    seed: int = Field(42, ge=0, lt=2**31, description="Seed of every random choice.")
    lake: str = Field(
        ".parrot/lake",
        json_schema_extra=OPERATIONAL,
        description="Where versions live: a path, file://, s3://bucket/prefix, or any fsspec URL.",
    )
    budget_usd: float | None = Field(
        None, gt=0, json_schema_extra=OPERATIONAL, description="Hard stop before this cost."
    )
    shards_at_once: int = Field(
        4, ge=1, le=256, json_schema_extra=OPERATIONAL, description="Shards in work at once."
    )
    shard_retries: int = Field(
        1,
        ge=0,
        le=20,
        json_schema_extra=OPERATIONAL,
        description="Further tries of a failed shard.",
    )
    inputs: dict[str, str] = Field(
        {},
        description=(
            "Datasets or models taken from an earlier run instead of made anew, e.g. "
            "{parrot-ask: 2026-11-15}. Stages that would make them are skipped."
        ),
    )
    engines: dict[str, Engine] = Field(description="Engines by the name the stages use.")
    ingest: Ingest
    train_ask: TrainAsk
    seeds: Seeds = Seeds()
    synthesize: Synthesize = Synthesize()
    filter: Filter = Filter()
    train_sft: TrainSft
    select: Select = Select()
    capo: CaPO = CaPO()
    train_dpo: TrainDpo = TrainDpo()
    evaluate: Evaluate

    @model_validator(mode="after")
    def _engines_exist(self) -> "Recipe":
        used = {
            "synthesize.asker": self.synthesize.asker,
            "synthesize.answerer": self.synthesize.answerer,
            "capo.writer": self.capo.writer,
            "evaluate.judge": self.evaluate.judge,
            **{f"evaluate.subjects.{k}": v for k, v in self.evaluate.subjects.items()},
        }
        if self.select.judge is not None:
            used["select.judge"] = self.select.judge
        for place, engine in used.items():
            if engine not in self.engines:
                have = ", ".join(sorted(self.engines)) or "none"
                raise ValueError(f"{place} names engine '{engine}', but engines has: {have}")
        return self

    def canonical(self) -> dict[str, Any]:
        """The values that decide what a run produces: all but the operational ones."""
        result = _without_operational(self)
        assert isinstance(result, dict)
        return result

    def fingerprint(self) -> str:
        """SHA-256 of :meth:`canonical`, as 64 hex digits."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _without_operational(value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: _without_operational(getattr(value, name))
            for name, info in fields.items()
            if info.json_schema_extra != OPERATIONAL
        }
    if isinstance(value, dict):
        return {key: _without_operational(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_operational(item) for item in value]
    return value


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield one line for each value that two canonical recipes don't share."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            below = f"{path}.{key}" if path else str(key)
            yield from differences(before.get(key), after.get(key), below)
    elif before != after:
        yield f"{path}: {json.dumps(before)} → {json.dumps(after)}"


def load_recipe(path: str | Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe from a YAML file and apply ``key.path=value`` overrides.

    Raises:
        RecipeError: the file is missing, isn't YAML, or a value is out of bounds; the message
            names the file, the key, the value and what was expected.
    """
    source = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(source, ["no such file; expected a recipe in YAML"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(source, [f"can't be read: {error}"]) from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f"line {where.line + 1}: " if where else ""
        problem = getattr(error, "problem", None) or "syntax error"
        raise RecipeError(source, [f"{line}not valid YAML: {problem}"]) from None
    if not isinstance(data, dict):
        raise RecipeError(source, ["expected a mapping of settings at the top level"])
    for override in overrides:
        _apply(data, override)
    return parse_recipe(data, source)


def overridden(recipe: Recipe, overrides: tuple[str, ...]) -> Recipe:
    """A recipe with ``key.path=value`` overrides applied; RecipeError as for a file."""
    data = recipe.model_dump(mode="json")
    for override in overrides:
        _apply(data, override)
    return parse_recipe(data)


def parse_recipe(data: dict[str, Any], source: str = "recipe") -> Recipe:
    """Validate a mapping as a recipe; ``source`` names it in errors."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(source, [_describe(item) for item in error.errors()]) from None


def _describe(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"] if part not in ("vllm", "openai"))
    message = re.sub(r"^Value error, ", "", item["msg"])
    given = item.get("input")
    if item["type"] in ("missing", "extra_forbidden") or isinstance(given, dict | BaseModel):
        return f"{where}: {message}" if where else message
    return f"{where}: {message} (given: {given!r})"


def _apply(data: dict[str, Any], override: str) -> None:
    key, separator, raw = override.partition("=")
    if not separator or not key:
        raise RecipeError("--set", [f"expected key.path=value, given {override!r}"])
    *parents, last = key.split(".")
    node = data
    for part in parents:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise RecipeError("--set", [f"{key}: '{part}' holds a value, not settings"])
        node = child
    try:
        node[last] = yaml.safe_load(raw)
    except yaml.YAMLError:
        raise RecipeError("--set", [f"{key}: {raw!r} is not a YAML value"]) from None
