"""What engines took in money, in words: what nobody knows the price of is never $0."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from parrot_core.text.wording import dollars, spent

if TYPE_CHECKING:
    from parrot_core.monitor.state import RunState


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


def brief_cost(usage: Iterable[tuple[str, Used]], recipe: object) -> str:
    """The same in two words, for a cell or a card."""
    pairs = list(usage)
    usd = sum(used.usd for _, used in pairs)
    if not unpriced(pairs, recipe):
        return dollars(usd)
    return f"over {dollars(usd)}" if usd else "price unknown"


def known_usd(usage: Iterable[tuple[str, Used]], recipe: object) -> float | None:
    """Dollars; None where some of the prices aren't known."""
    pairs = list(usage)
    return None if unpriced(pairs, recipe) else sum(used.usd for _, used in pairs)


def usage_of(state: "RunState") -> list[tuple[str, Used]]:
    """What its own stages took, by engine; an engine of several stages comes several times."""
    return [pair for stage in state.own_stages for pair in stage.usage.items()]


def cost_of_run(state: "RunState") -> str:
    """What its own stages took."""
    return cost_of(usage_of(state), state.header.recipe)


def cost_of_budget(state: "RunState") -> str:
    """What its own stages took of the budget that holds, if it has one."""
    cost, budget = cost_of_run(state), state.header.budget_usd
    if budget is None:
        return cost
    of = "; the budget is" if unpriced(usage_of(state), state.header.recipe) else " of"
    return f"{cost}{of} ${budget:,.2f}"


def _is_unpriced(engine: str, usd: float, recipe: object) -> bool:
    engines = recipe.get("engines") if isinstance(recipe, Mapping) else None
    settings = engines.get(engine) if isinstance(engines, Mapping) else None
    if not isinstance(settings, Mapping):
        return False
    return settings.get("kind") == "openai" and settings.get("price") is None and not usd
