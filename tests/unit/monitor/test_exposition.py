"""What Prometheus scrapes, from a lake's files alone."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from parrot_core.execution.runs import ask_for, open_run
from parrot_core.lake.lake import Lake
from parrot_core.lake.manifest import EngineUsage
from parrot_core.monitor import StageSpec
from parrot_core.monitor.exposition import RunCollector
from parrot_core.stages.registry import STAGE_SPECS
from parrot_core.stages.registry import STAGES as ALL_STAGES
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_state import (
    NOW,
    RECIPE,
    RUN,
    STAGES,
    ago,
    begin,
    plan,
    progress,
    publish,
    receipt,
)


class Scrape:
    """One scrape, by metric name and labels."""

    def __init__(
        self, lake: Lake, stages: Sequence[StageSpec] = STAGES, **settings: timedelta
    ) -> None:
        registry = CollectorRegistry()
        registry.register(RunCollector(lake, stages, lambda: NOW, **settings))
        self.text = generate_latest(registry).decode()
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset({"run": RUN, **labels}.items())]


def test_a_run_that_ended_where_it_was_to_is_done_and_looked_at_again(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake, recipe=minimal_recipe(lake.url).model_dump(mode="json"))
    run = open_run(lake, RUN)
    ask_for(run, ALL_STAGES[:1])
    publish(lake, "ingest")
    later = NOW + timedelta(hours=1)
    collector = RunCollector(lake, STAGES, lambda: later)

    def states() -> dict[str, float]:
        (family,) = [each for each in collector.collect() if each.name == "parrot_run_state"]
        return {sample.labels["state"]: sample.value for sample in family.samples}

    assert states()["done"] == 1
    ask_for(run, None)
    assert (states()["done"], states()["stalled"]) == (0, 1)


def test_a_finished_run_tells_its_money_rows_and_tokens(tmp_path: Path) -> None:
    lake = full_run(tmp_path)
    paid = EngineUsage(model="gpt-x", requests=3, prompt_tokens=900, completion_tokens=80, usd=1.25)
    publish(lake, "compare", usage={"judge": paid})
    scrape = Scrape(lake, (*STAGES, *(spec for spec in STAGE_SPECS if spec.name == "compare")))
    assert scrape("parrot_run_state", state="done") == 1
    assert scrape("parrot_run_state", state="running") == 0
    assert scrape("parrot_run_usd_total") == 1.25
    tokens = [v for (name, _), v in scrape.samples.items() if name == "parrot_engine_tokens_total"]
    assert sum(tokens) > 0
    assert any(name == "parrot_stage_rejects_total" for name, _ in scrape.samples)


def test_a_run_in_work_tells_how_far_it_is_and_how_long_it_has_been_silent(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    plan(lake, "synthesize", [10, 10])
    progress(lake, "synthesize", 0, done=4, total=10, started_at=ago(20), updated_at=ago(5))
    scrape = Scrape(lake)
    assert scrape("parrot_run_seconds_since_progress") == 5
    assert scrape("parrot_stage_units_done", stage="synthesize") == 4
    assert scrape("parrot_stage_shards", stage="synthesize", state="running") == 1
    assert scrape("parrot_stage_shards", stage="synthesize", state="waiting") == 1


def test_a_run_in_work_tells_what_its_engines_refuse_and_have_in_flight(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    plan(lake, "synthesize", [10, 10, 10])
    latencies = [0, 1, 0, 2, *[0] * 8]
    one = {"answers": 3, "in_flight": 2, "latency_s": 7.5, "failures": {"429": 4}}
    two = {"answers": 1, "in_flight": 5, "latency_s": 0.5, "failures": {"429": 1, "5xx": 2}}
    at_work = {"started_at": ago(20), "updated_at": ago(5)}
    engines = {"answerer": {**one, "latencies": latencies}}
    progress(lake, "synthesize", 0, traffic=engines, **at_work)
    gone = {"started_at": ago(900), "updated_at": ago(800)}
    progress(lake, "synthesize", 1, traffic={"answerer": two}, **gone)
    ended = {"started_at": ago(60), "ended_at": ago(30)}
    receipt(lake, "synthesize", 2, 10, {}, traffic={"answerer": one}, **ended)
    scrape = Scrape(lake)
    answerer = {"stage": "synthesize", "engine": "answerer"}
    assert scrape("parrot_engine_requests_in_flight", **answerer) == 2, "of shards in work only"
    assert scrape("parrot_engine_refusals_total", kind="429", **answerer) == 9
    assert scrape("parrot_engine_refusals_total", kind="5xx", **answerer) == 2
    assert scrape("parrot_engine_refusals_total", kind="timeout", **answerer) == 0
    assert scrape("parrot_engine_request_seconds_sum", **answerer) == 15.5
    assert scrape("parrot_engine_request_seconds_bucket", le="0.5", **answerer) == 1
    assert scrape("parrot_engine_request_seconds_bucket", le="2.0", **answerer) == 3


def test_a_stage_tells_how_long_no_unit_was_done_however_alive_its_shards_are(
    tmp_path: Path,
) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    plan(lake, "synthesize", [10, 10])
    for shard, advanced in enumerate((ago(300), ago(200))):
        times = {"started_at": ago(600), "updated_at": ago(1), "advanced_at": advanced}
        progress(lake, "synthesize", shard, done=4, total=10, **times)
    plan(lake, "filter", [10])
    progress(lake, "filter", 0, started_at=ago(40), updated_at=ago(1))
    scrape = Scrape(lake)
    assert scrape("parrot_stage_seconds_since_unit", stage="synthesize") == 200
    assert scrape("parrot_stage_seconds_since_unit", stage="filter") == 40
    assert scrape("parrot_run_seconds_since_progress") == 1


@pytest.mark.parametrize(("hours", "behind"), [(1.0, 0), (0.25, 30), (0.125, 480)])
def test_a_run_is_behind_by_what_its_stage_needs_beyond_the_hours_it_was_given(
    tmp_path: Path, hours: float, behind: float
) -> None:
    lake = Lake(str(tmp_path))
    begin(lake, recipe={**RECIPE, "finish_within_hours": hours})  # 900 s ago
    plan(lake, "synthesize", [10])
    progress(lake, "synthesize", 0, done=4, total=10, started_at=ago(20), updated_at=ago(0))
    assert Scrape(lake)("parrot_run_seconds_behind") == behind  # 6 are left, at 5 s each


def test_a_run_without_hours_and_one_that_is_done_are_never_behind(tmp_path: Path) -> None:
    names = {name for name, _ in Scrape(full_run(tmp_path)).samples}
    assert "parrot_run_state" in names
    assert "parrot_run_seconds_behind" not in names


def test_a_damaged_record_is_told_once_and_hides_no_other_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = full_run(tmp_path)
    lake.storage.write_bytes("runs/torn/run.json", b"[]")
    collector = RunCollector(lake, STAGES, lambda: NOW)
    for _ in range(2):
        (family,) = [each for each in collector.collect() if each.name == "parrot_run_usd"]
        assert [sample.labels["run"] for sample in family.samples] == [RUN]
    (said,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "no metrics of run 'torn'" in said.message


def test_old_runs_are_left_out(tmp_path: Path) -> None:
    scrape = Scrape(full_run(tmp_path), recent=timedelta(seconds=-1))
    assert not scrape.samples


def test_a_name_that_is_no_label_value_breaks_nothing(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    begin(lake, 'we"ird\\', created_at=ago(1))
    assert 'run="we\\"ird\\\\"' in Scrape(lake).text


@pytest.mark.parametrize("times", [1, 3])
def test_scraping_again_tells_the_same(tmp_path: Path, times: int) -> None:
    registry = CollectorRegistry()
    registry.register(RunCollector(full_run(tmp_path), STAGES, lambda: NOW))
    assert len({generate_latest(registry) for _ in range(times)}) == 1


def test_a_worker_whose_clock_is_ahead_gives_no_negative_seconds(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    plan(lake, "synthesize", [40])
    ahead = ago(-3600)
    progress(
        *(lake, "synthesize", 0),
        **{"done": 1, "started_at": ahead, "updated_at": ahead, "advanced_at": ahead},
    )
    scrape = Scrape(lake)
    assert scrape("parrot_run_seconds_since_progress") == 0
    assert scrape("parrot_stage_seconds_since_unit", stage="synthesize") == 0
