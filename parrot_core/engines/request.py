"""The canonical request: what is sent, what the journal's key is made of, what seeds sampling."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from parrot_core.engines.shaping import AS_IT_IS, RequestShape, openai_parameters
from parrot_core.engines.types import Message
from parrot_core.recipe import Sampling


def sampling_seed(seed: int, sample: str) -> int:
    """The seed of one completion: 31 bits from the recipe's seed and the sample's name."""
    digest = hashlib.sha256(f"{seed}:{sample}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def request_body(
    model: str,
    messages: Sequence[Message],
    sampling: Sampling,
    seed: int,
    shape: RequestShape = AS_IT_IS,
) -> dict[str, Any]:
    """The body of a chat completion request as it is sent, with only the parameters that are set.

    Its messages are a copy that later turns of the session can't change.
    """
    copy = [{"role": m["role"], "content": m["content"]} for m in messages]
    parameters = openai_parameters(sampling, seed)
    return shape.apply({"model": model, "messages": copy, **parameters})


def probe_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """A small request to the same model with the same parameters, which its text can't spoil."""
    return {**body, "messages": [{"role": "user", "content": "Hi"}]}


def request_key(endpoint: str, body: Mapping[str, Any], sample: str) -> str:
    """The journal's key: SHA-256 of endpoint, body and sample, as 64 hex digits."""
    whole = {"endpoint": endpoint, "body": body, "sample": sample}
    try:
        data = orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half a surrogate pair: it can't be sent either, but has a key
        data = repr(whole).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()
