from datetime import date

import pytest

from parrot_core.engines.limits.prices import check_prices, listed_prices, price_of
from parrot_core.errors import UserError
from parrot_core.recipe import OpenAIEngine, Price, VllmEngine
from tests.support.lakes.recipes import minimal_recipe


def test_a_listed_model_at_its_provider_has_a_price_and_its_day() -> None:
    price = price_of(OpenAIEngine(model="gpt-4o-mini"))
    assert price == Price(input_per_million=0.15, output_per_million=0.6, as_of=date(2024, 7, 18))


def test_the_recipes_own_price_wins() -> None:
    own = Price(input_per_million=1, output_per_million=2, as_of=date(2026, 1, 1))
    assert price_of(OpenAIEngine(model="gpt-4o-mini", price=own)) == own


def test_the_same_name_at_another_address_has_no_known_price() -> None:
    assert price_of(OpenAIEngine(model="gpt-4o-mini", base_url="http://gateway/v1")) is None
    assert price_of(VllmEngine(model="gpt-4o-mini")) is None


def test_every_listed_price_says_when_it_was_true() -> None:
    prices = listed_prices()
    assert len(prices) > 10
    assert all(date(2023, 1, 1) < price.as_of < date(2026, 1, 1) for price in prices.values())


def test_a_budget_is_refused_where_a_price_is_unknown() -> None:
    with pytest.raises(UserError, match=r"engines\.judge\.price .* 0 and 0 for a server of your"):
        check_prices(minimal_recipe("l", budget_usd=5), ["judge"])
    check_prices(minimal_recipe("l"), ["judge"])
    own = {"kind": "vllm", "model": "m"}
    engines = {"asker": own, "answerer": own, "judge": own}
    check_prices(minimal_recipe("l", budget_usd=5, engines=engines), ["judge"])


def test_a_budget_is_refused_where_an_answer_has_no_limit() -> None:
    def judge(**request: object) -> None:
        engine = {"kind": "openai", "model": "gpt-4o-mini", "request": request}
        engines = {"asker": engine, "answerer": engine, "judge": engine}
        check_prices(minimal_recipe("l", budget_usd=5, engines=engines), ["judge"])

    judge()
    judge(max_completion_tokens=None, max_tokens=100)
    with pytest.raises(UserError, match="leaves out the limit of tokens"):
        judge(max_completion_tokens=None)
