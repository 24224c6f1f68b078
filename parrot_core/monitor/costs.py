"""What engines took in money, in words: what nobody knows the price of is never $0."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from parrot_core.monitor.state import RunState
from parrot_core.text.wording import spent


class Used(Protocol):
    """What one engine took: a shard's sums, or a manifest's."""

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def completion_tokens(self) -> int: ...

    @property
    def usd(self) -> float: ...


def unpriced(usage: Iterable[tuple[str, Used]], recipe: object) -> tuple[str, ...]:
    """The engines that took something whose price isn't known: APIs without a price."""
    return tuple(
        dict.fromkeys(
            name
            for name, used in usage
            if used.prompt_tokens + used.completion_tokens and _is_unpriced(name, used.usd, recipe)
        )
    )


def cost_of(usage: Iterable[tuple[str, Used]], recipe: object) -> str:
    """Dollars, and of which engines the price isn't known."""
    pairs = list(usage)
    return spent(sum(used.usd for _, used in pairs), unpriced(pairs, recipe))


def cost_of_run(state: RunState) -> str:
    """What its own stages took."""
    used = [pair for stage in state.own_stages for pair in stage.usage.items()]
    return cost_of(used, state.header.recipe)


def _is_unpriced(engine: str, usd: float, recipe: object) -> bool:
    engines = recipe.get("engines") if isinstance(recipe, Mapping) else None
    settings = engines.get(engine) if isinstance(engines, Mapping) else None
    if not isinstance(settings, Mapping):
        return False
    return settings.get("kind") == "openai" and settings.get("price") is None and not usd
