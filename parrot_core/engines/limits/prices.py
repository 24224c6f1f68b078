"""What a model costs: the recipe's price, else what ``prices.yaml`` knows of it."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from parrot_core.engines.shaping import LIMIT_NAMES, shape_of
from parrot_core.errors import UserError
from parrot_core.recipe import Engine, OpenAIEngine, Price, Recipe


def price_of(settings: Engine) -> Price | None:
    """The recipe's price, else the listed one of this provider and model, else None."""
    if settings.price is not None or not isinstance(settings, OpenAIEngine):
        return settings.price
    return listed_prices().get((urlsplit(settings.base_url).hostname or "", settings.model))


def listed_prices() -> dict[tuple[str, str], Price]:
    """The price list: by provider's host and model."""
    text = Path(__file__).with_name("prices.yaml").read_text(encoding="utf-8")
    return {
        (host, model): Price.model_validate(price)
        for host, models in yaml.safe_load(text).items()
        for model, price in models.items()
    }


def check_prices(recipe: Recipe, engines: Iterable[str]) -> None:
    """Refuse a budget that can't be kept.

    Raises:
        UserError: the recipe has a budget, and one of these engines an unknown price, or no limit
            of tokens.
    """
    if recipe.budget_usd is None:
        return
    for name in sorted(set(engines)):
        settings = recipe.engines[name]
        if isinstance(settings, OpenAIEngine) and price_of(settings) is None:
            raise UserError(
                f"budget_usd is set, but what '{settings.model}' costs at {settings.base_url} "
                f"isn't known: set engines.{name}.price (input_per_million, output_per_million "
                "and as_of; 0 and 0 for a server of your own), or budget_usd=null"
            )
        price = price_of(settings)
        free = price is None or not (price.input_per_million or price.output_per_million)
        sent = shape_of(settings).apply({"max_completion_tokens": 1})
        if not free and not sent.keys() & set(LIMIT_NAMES):
            raise UserError(
                f"budget_usd is set, but engines.{name}.request leaves out the limit of tokens: "
                "an answer could cost anything. Send max_completion_tokens, or budget_usd=null"
            )
