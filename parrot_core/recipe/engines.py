"""Engines by the name that stages use: vLLM that we serve, or any OpenAI-compatible API."""

from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator

from parrot_core.recipe.base import OPERATIONAL, Model, ModelRef


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
    timeout_s: float = Field(
        300,
        gt=0,
        le=3600,
        description="Longest wait for a whole completion, its first byte or not.",
    )
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
            "Price table. Unset: what engines/limits/prices.yaml knows of the model, else "
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
    provider: str | None = Field(
        None,
        description=(
            "Whose rules of engines/providers.yaml apply (openai, azure, gemini, mistral, "
            "dashscope, deepseek, openrouter, anthropic, ollama, llama.cpp, tgi, sglang, litellm; "
            "other for none). Unset: by the address."
        ),
    )
    request: dict[str, JsonValue] = Field(
        {},
        description=(
            "Parameters of the request by name: null leaves one out (seed: null), any other value "
            "is sent (reasoning_effort: low; nested ones, too). They win over known providers'."
        ),
    )
    rename: dict[str, str] = Field(
        {},
        description=(
            "Parameters that the API calls by another name, e.g. seed: random_seed, or "
            "max_completion_tokens: max_tokens."
        ),
    )
    headers: dict[str, str] = Field(
        {},
        json_schema_extra=OPERATIONAL,
        description="Headers sent with each request; ${NAME} stands for a variable's value.",
    )
    query: dict[str, str] = Field(
        {},
        json_schema_extra=OPERATIONAL,
        description="Query parameters of the address, besides those that base_url has.",
    )
    key_header: str | None = Field(
        None,
        json_schema_extra=OPERATIONAL,
        description="The header that takes the key as it is, instead of Authorization: Bearer.",
    )
    batch: BatchSettings | None = Field(
        None,
        json_schema_extra=OPERATIONAL,
        description=(
            "Buy through the Batch API, round by round, at a discount; null asks at once. Let "
            "sessions_in_flight be large then: each turn of all of them is one round."
        ),
    )

    @field_validator("base_url", "replica_urls")
    @classmethod
    def _has_a_host(cls, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for address in (given,) if isinstance(given, str) else given:
            parts = urlsplit(address)  # ValueError: of brackets
            if not parts.hostname or (parts.port or 80) < 1:  # a port that is no number, too
                raise ValueError(f"'{address}' names no host")
        return given

    @field_validator("request", "rename")
    @classmethod
    def _only_parameters(cls, given: dict[str, JsonValue]) -> dict[str, JsonValue]:
        fixed = sorted({"model", "messages", "n"} & given.keys())
        if fixed:
            raise ValueError(f"{fixed[0]} isn't a parameter that can be set here")
        return given


Engine = Annotated[VllmEngine | OpenAIEngine, Field(discriminator="kind")]
