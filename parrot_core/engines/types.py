"""What the rest of the factory knows of an engine: messages in, one completion out.

Failures of every vendor map, in ``engines/decisions``, to one decision and to the few types
below. What is worth trying again has been tried before one of them is raised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Literal, Protocol, TypedDict

from parrot_core.errors import ParrotError
from parrot_core.recipe import Sampling

Role = Literal["system", "user", "assistant"]

FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "unknown"]
"""Why a completion ended, in OpenAI's words, whatever the provider called it.

``length``: cut at the limit of tokens. ``tool_calls``: the model wanted to call a tool.
``unknown``: the provider said nothing, or a word that nobody knows; the text is whole as far as
anyone can tell. An end by ``error`` is a failure, and never a completion.
"""


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
    """What an engine answered.

    ``text`` is the answer alone. What the model thought before it is in ``thinking``, whether it
    came in a field of its own or in the text (``<think>``): it is no part of the conversation, and
    is never sent back. An answer that is all thinking has an empty ``text``; one whose thinking
    used up the limit of tokens is no completion, but ``LimitUsedUp``.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    engine: str  # name in the recipe
    model: str
    request_key: str  # SHA-256 of the canonical request
    thinking: str | None = None  # None: the model showed none


class ChatModel(Protocol):
    """An engine, however it is reached."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, sample: str
    ) -> Completion:
        """Complete a conversation.

        Args:
            sample: which completion this is, e.g. ``"<row id>/t3/answer"``. It is part of the
                journal's key and seeds the sampling: two rows that send the same messages get
                two completions, and a resumed row gets the one it had.

        Raises:
            RowError: this row can't go on; others can.
            ShardError: the engine is gone.
            RunError: no shard of this run can go on.
        """
        ...


class Decision(Enum):
    """What happens next after a failure."""

    RETRY_NOW = "retry now"
    """A chance event: the same request again at once, after a moment of jitter."""
    RETRY_LATER = "retry later"
    """The provider is busy or broken: slow down, wait as long as it says, then again."""
    GIVE_UP_ROW = "give up this row"
    STOP_SHARD = "stop this shard"
    STOP_RUN = "stop the run"


class EngineError(ParrotError):
    """An engine did not complete; ``decision`` says what happens next."""

    decision: ClassVar[Decision] = Decision.STOP_SHARD


class RowError(EngineError):
    """Give up this row; ``reason`` is one of ``stages.reasons.REASONS``.

    Its text has the provider's words with status and code: it is the detail of the row's reject.
    """

    decision = Decision.GIVE_UP_ROW
    reason = "request_refused"


class ContextFull(RowError):
    """The messages no longer fit the model's context."""

    reason = "context_full"


class ContentFiltered(RowError):
    """The provider won't complete this content."""

    reason = "content_filter"


class LimitUsedUp(RowError):
    """The limit of tokens was used up before the answer began, mostly by thinking."""

    reason = "truncated"


class RequestRefused(RowError):
    """The provider says that this request is wrong (HTTP 400, 413, 422)."""


class ProviderError(RowError):
    """The provider keeps failing at this request and answers others, or small ones."""

    reason = "provider_error"


class ShardError(EngineError):
    """Stop this shard: the engine is gone, or refuses for longer than the limits allow."""


class RunError(EngineError):
    """Stop the run: no other shard would fare better (wrong key, unknown model, no credit)."""

    decision = Decision.STOP_RUN
    after_progress = False
    """Whether the shard that met it got further than in any attempt before."""


class EngineUnreachable(RunError):
    """Nothing answers at the engine's address."""

    exit_code = 2


class EngineDied(RunError):
    """A server that we started has ended; it is not to be fed more work."""


class KeyRefused(RunError):
    """The provider refuses the API key, or the model is not ours to use."""

    exit_code = 2


class EveryRequestRefused(RunError):
    """The provider refuses every request alike, a small one too: no row is at fault."""

    exit_code = 2


class NoCredit(RunError):
    """The provider's account has nothing left to spend."""


class ProviderRefuses(RunError):
    """A provider answered nothing for longer than ``limits.max_pause_s``."""


class BudgetReached(RunError):
    """The next request could pass ``budget_usd``; nothing was bought beyond it."""

    def __init__(self, spent_usd: float, budget_usd: float) -> None:
        self.spent_usd = spent_usd
        self.budget_usd = budget_usd
        super().__init__(
            f"paused: budget. ${spent_usd:.4f} of ${budget_usd:.2f} is spent; resume with a higher "
            f"one: run the same command with --set budget_usd={2 * budget_usd:g}"
        )
