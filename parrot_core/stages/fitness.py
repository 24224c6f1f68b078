"""What makes a completion fit to train on: whole, not empty, free of control tokens."""

from collections.abc import Mapping
from typing import Literal

from parrot_core.engines.types import Completion, RowError
from parrot_core.recipe import Sampling
from parrot_core.text.control_tokens import defuse_control_tokens, find_control_token
from parrot_core.text.wording import plural

ControlTokens = Literal["defuse", "end"]
MOST_TRUNCATED = 0.05
"""Share of completions cut at the limit of tokens above which a version warns."""


class Unfit(RowError):
    """A completion that came, and can't be used; ``reason`` says why."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(detail)


def is_truncated(completion: Completion) -> bool:
    """Whether it was cut at the limit of tokens."""
    return completion.finish_reason == "length"


def fit_text(
    completion: Completion,
    *,
    keep_truncated: bool = False,
    control_tokens: ControlTokens = "defuse",
    empty: str = "empty_response",
) -> str:
    """The text of a completion as it may be kept and sent back; its thinking is no part of it.

    Args:
        keep_truncated: use one that was cut, as far as it came.
        control_tokens: ``defuse`` them, or refuse the text that holds one.
        empty: reason for refusing one without a text.

    Raises:
        Unfit: it can't be used.
    """
    text = completion.text.strip()
    if is_truncated(completion) and not (keep_truncated and text):
        tokens = completion.usage.completion_tokens
        raise Unfit("truncated", f"cut at the limit of tokens, after {plural(tokens, 'token')}")
    if not text:
        raise Unfit(empty, "nothing but thinking" if completion.thinking else "no text")
    token = find_control_token(text)
    if token is not None and control_tokens == "end":
        raise Unfit("control_token", f"holds the control token {token}")
    return defuse_control_tokens(text)


def truncation_warnings(
    truncated: Mapping[str, int], sampling: Mapping[str, Sampling], total: int, unit: str
) -> list[str]:
    """A line for each kind of completion of which too many were cut.

    Args:
        truncated: units with a cut completion, by the setting that samples it.
        unit: what they are called.
    """
    return [
        f"{count:,} of {plural(total, unit)} ({count / total:.0%}) hold or end before a text that "
        f"was cut at the limit of tokens: raise {setting}.max_tokens, now "
        f"{sampling[setting].max_tokens:,}, or let the model write less"
        for setting, count in truncated.items()
        if total and count > MOST_TRUNCATED * total
    ]
