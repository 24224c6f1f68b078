"""The canonical request: what is sent, what the journal's key is made of, what seeds sampling."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from parrot_core.engines.types import Message
from parrot_core.recipe import Sampling

PROBE_TOKENS = 16


def sampling_seed(seed: int, sample: str) -> int:
    """The seed of one completion: 31 bits from the recipe's seed and the sample's name."""
    digest = hashlib.sha256(f"{seed}:{sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def request_body(
    model: str,
    messages: Sequence[Message],
    sampling: Sampling,
    seed: int,
    max_tokens_field: str = "max_completion_tokens",
) -> dict[str, Any]:
    """The body of a chat completion request, with only the parameters that are set."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m["role"], "content": m["content"]} for m in messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        max_tokens_field: sampling.max_tokens,
        "seed": seed,
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.frequency_penalty:
        body["frequency_penalty"] = sampling.frequency_penalty
    if sampling.repetition_penalty is not None:
        body["repetition_penalty"] = sampling.repetition_penalty
    return body


def probe_body(body: dict[str, Any]) -> dict[str, Any]:
    """A small request to the same model, with the same parameters, that nobody has to refuse."""
    limits = {"max_tokens", "max_completion_tokens"} & body.keys()
    small = [{"role": "user", "content": "Hi"}]
    return {**body, "messages": small, **dict.fromkeys(limits, PROBE_TOKENS)}


def request_key(endpoint: str, body: dict[str, Any], sample: str) -> str:
    """The journal's key: SHA-256 of endpoint, body and sample, as 64 hex digits."""
    whole = {"endpoint": endpoint, "body": body, "sample": sample}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
