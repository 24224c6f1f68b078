"""How many tokens a request may take, is likely to take, and took."""

from collections.abc import Mapping
from typing import Any

from parrot_core.engines.response import Answer
from parrot_core.engines.shaping import limit_in

BYTES_PER_TOKEN = 2.5
"""Expected of a prompt; low on purpose, as a rate that is passed costs a refusal."""
MESSAGE_TOKENS = 8
"""What a chat template adds to one message, at most."""


def worst_tokens(body: Mapping[str, Any], max_tokens: int) -> tuple[int, int]:
    """Most tokens of prompt and completion: a token is at least a byte."""
    prompt = _bytes(body) + MESSAGE_TOKENS * (len(body["messages"]) + 1)
    return prompt, limit_in(body, max_tokens)


def expected_tokens(body: Mapping[str, Any], max_tokens: int) -> int:
    """What a request is likely to take from a limit of tokens a minute, and rather less."""
    prompt = int(_bytes(body) / BYTES_PER_TOKEN) + MESSAGE_TOKENS * len(body["messages"])
    return prompt + limit_in(body, max_tokens)


def _bytes(body: Mapping[str, Any]) -> int:
    return sum(len(m["content"].encode("utf-8", "surrogatepass")) for m in body["messages"])


def is_used_up(text: str, finish_reason: str) -> bool:
    """Whether the limit of tokens was reached before the answer began."""
    return not text and finish_reason == "length"


def tokens_taken(answer: Answer, worst: tuple[int, int]) -> tuple[int, int]:
    """Tokens of prompt and completion; what the provider doesn't say counts at its worst."""
    prompt, written = answer.prompt_tokens, answer.completion_tokens
    return (
        worst[0] if prompt is None else prompt,
        worst[1] if written is None else written,
    )


def used_up_words(body: Mapping[str, Any], max_tokens: int) -> str:
    """What it means that the limit was reached before the answer began, and what mends it."""
    return (
        f"the limit of {limit_in(body, max_tokens)} tokens (max_tokens of the sampling, sent as "
        "max_completion_tokens or max_tokens) was used up before the answer began, mostly by "
        "thinking: raise it, or let the model think less (request.reasoning_effort)"
    )
