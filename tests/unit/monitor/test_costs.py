"""What nobody knows the price of is never shown as $0 nor within an exact sum, by anybody."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from rich.console import Console

from dashboard.questions import go_on, retry_shards
from parrot_cli.status_view import render_runs, render_shards, render_status
from parrot_core.lake.lake import Lake
from parrot_core.monitor import RunState, read_run
from parrot_core.monitor.costs import brief_cost, cost_of_budget, usage_of
from parrot_core.monitor.exposition import RunCollector
from parrot_core.monitor.outlook import Projection, outlook, usd_of_shards
from tests.support.lakes.run_state import NOW, RECIPE, RUN, STAGES, ago, begin, plan, receipt

API = {"kind": "openai", "model": "m", "base_url": "https://api.example/v1"}
PRICE = {"input_per_million": 1, "output_per_million": 1, "as_of": "2026-01-01"}
ENGINES = {**RECIPE["engines"], "asker": API, "answerer": {**API, "price": PRICE}}
TOKENS = {"model": "m", "requests": 2, "prompt_tokens": 9, "completion_tokens": 1}
UNKNOWN = {"asker": TOKENS}
PARTLY = {**UNKNOWN, "answerer": {**TOKENS, "usd": 1.25}}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def state(lake: Lake, usage: object, **recipe: object) -> RunState:
    """One of two shards of a synthesis is done and took something."""
    begin(lake, recipe={**RECIPE, "engines": ENGINES, **recipe})
    plan(lake, "synthesize", [10, 10])
    receipt(lake, "synthesize", 0, 10, {}, started_at=ago(9), ended_at=ago(5), usage=usage)
    return read_run(lake, RUN, STAGES, NOW)


def shown(found: RunState) -> str:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for part in (render_runs([found]), render_status(found), render_shards(found)):
        console.print(part)
    return console.export_text()


def scrape(lake: Lake) -> str:
    registry = CollectorRegistry()
    registry.register(RunCollector(lake, STAGES, lambda: NOW))
    return generate_latest(registry).decode()


def test_an_unknown_price_is_no_zero_in_the_terminal_in_json_and_in_metrics(lake: Lake) -> None:
    found = state(lake, UNKNOWN)
    assert "$0" not in shown(found)
    assert shown(found).count("price of asker unknown") == 4  # runs, run, stage, shard
    plain = found.to_json()
    assert (plain["usd"], plain["unpriced"]) == (None, ["asker"])
    assert {each["name"]: each["usd"] for each in plain["stages"]}["synthesize"] is None
    assert "parrot_run_usd_total{" not in scrape(lake)
    assert "parrot_engine_usd_total{" not in scrape(lake)


def test_a_sum_that_lacks_a_price_is_no_sum(lake: Lake) -> None:
    found = state(lake, PARTLY, budget_usd=5.0)
    assert cost_of_budget(found) == "$1.2500, price of asker unknown; the budget is $5.00"
    assert brief_cost(usage_of(found), found.header.recipe) == "over $1.2500"
    assert found.to_json()["usd"] is None
    assert "parrot_run_usd_total{" not in scrape(lake)
    assert 'parrot_engine_usd_total{engine="answerer",run="demo",stage="synthesize"} 1.25' in (
        scrape(lake)
    )


def test_what_a_run_will_cost_is_unknown_while_a_price_is(lake: Lake) -> None:
    found = state(lake, UNKNOWN)
    stage = found.stage("synthesize")
    assert stage is not None
    assert usd_of_shards(stage, found.header.recipe) is None
    later = {each.name: Projection(0.0, 1.0) for each in STAGES}
    reckoned = outlook(found, later)
    assert (reckoned.exact, reckoned.unpriced) == (False, ("synthesize",))
    for asked in (go_on(found, later), retry_shards(found, stage, [1])):
        assert "What it costs isn't known: price of asker unknown." in asked.cost
        assert "$0" not in asked.cost


def test_known_prices_and_models_of_our_own_are_sums(lake: Lake) -> None:
    ours = {"chat": TOKENS, "answerer": {**TOKENS, "usd": 1.25}}
    found = state(lake, ours, budget_usd=5.0)
    assert cost_of_budget(found) == "$1.2500 of $5.00"
    assert found.to_json()["usd"] == 1.25
    assert 'parrot_run_usd_total{run="demo"} 1.25' in scrape(lake)
