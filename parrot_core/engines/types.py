"""What the rest of the factory knows of an engine: messages in, one completion out.

Failures of every vendor map to the few types below. Each says what happens next: give up the
row, stop the shard, or stop the run. What is worth trying again has been tried before one of
them is raised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypedDict

from parrot_core.errors import ParrotError
from parrot_core.recipe import Sampling

Role = Literal["system", "user", "assistant"]


class Message(TypedDict):
    """One message of a conversation, as every chat API and TRL spell it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one or many completions took."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    requests: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.requests + other.requests,
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine answered."""

    text: str
    finish_reason: str  # stop | length | content_filter, as the provider says it
    usage: Usage
    engine: str  # name in the recipe
    model: str
    request_key: str  # SHA-256 of the canonical request


class ChatModel(Protocol):
    """An engine, however it is reached."""

    @property
    def name(self) -> str:
        """Its name in the recipe."""
        ...

    @property
    def model(self) -> str:
        """The model it runs, for provenance."""
        ...

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, sample: str
    ) -> Completion:
        """Complete a conversation.

        Args:
            messages: the whole conversation so far, oldest first.
            sampling: how to sample.
            sample: which completion this is, e.g. ``"<row id>/t3/answer"``. It is part of the
                journal's key and seeds the sampling: two rows that send the same messages get
                two completions, and a resumed row gets the one it had.

        Raises:
            RowError: this row can't go on; others can.
            ShardError: the engine is gone.
            RunError: no shard of this run can go on.
        """
        ...


class EngineError(ParrotError):
    """An engine did not complete; the subclass says what happens next."""


class RowError(EngineError):
    """Give up this row; ``reason`` is one of ``schemas.REASONS``."""

    reason = "request_refused"


class ContextFull(RowError):
    """The messages no longer fit the model's context."""

    reason = "context_full"


class ContentFiltered(RowError):
    """The provider won't complete this content."""

    reason = "content_filter"


class RequestRefused(RowError):
    """The provider says that this request is wrong (HTTP 400, 413, 422)."""


class ShardError(EngineError):
    """Stop this shard: the engine is gone, or refuses for longer than the limits allow."""


class RunError(EngineError):
    """Stop the run: no other shard would fare better (wrong key, unknown model, no credit)."""


class EngineUnreachable(RunError):
    """Nothing answers at the engine's address."""

    exit_code = 2


class EngineDied(RunError):
    """A server that we started has ended; it is not to be fed more work."""


class KeyRefused(RunError):
    """The provider refuses the API key, or the model is not ours to use."""

    exit_code = 2


class BudgetReached(RunError):
    """The next request could pass ``budget_usd``; nothing was bought beyond it."""

    def __init__(self, spent_usd: float, budget_usd: float) -> None:
        self.spent_usd = spent_usd
        self.budget_usd = budget_usd
        super().__init__(
            f"paused: budget. ${spent_usd:.4f} of ${budget_usd:.2f} is spent; resume the run with "
            "a higher budget_usd"
        )
