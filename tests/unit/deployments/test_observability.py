"""Grafana's dashboard and Prometheus' alerts speak of metrics that there are."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from parrot_core.lake.lake import Lake
from parrot_core.monitor.exposition import STATES, RunCollector
from parrot_core.stages.registry import STAGE_SPECS
from tests.support.lakes.run_state import NOW, RECIPE, STAGES, ago, begin, plan, progress

DEPLOYMENTS = Path(__file__).resolve().parents[3] / "deployments"
GRAFANA = DEPLOYMENTS / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "parrot.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
PROMETHEUS = DEPLOYMENTS / "prometheus"
ALERTS = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]

SAMPLES = {"gauge": [""], "counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every sample's name with the labels that ``RunCollector`` describes it with."""
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    collector = RunCollector(lake, STAGE_SPECS, lambda: datetime.now(UTC))
    names = {}
    for family in collector.describe():
        labels = set(family._labelnames)
        for ending in SAMPLES[family.type]:
            names[family.name + ending] = labels | ({"le"} if ending == "_bucket" else set())
    return names


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the samples of a scrape, of a lake with a run in which everything happened."""
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    begin(lake, recipe={**RECIPE, "budget_usd": 5, "finish_within_hours": 0.1})
    plan(lake, "synthesize", [10, 10])
    traffic = {"answers": 4, "in_flight": 2, "latency_s": 6.5, "failures": {"429": 3}}
    used = {"answerer": {"model": "m", "requests": 4, "prompt_tokens": 9, "completion_tokens": 9}}
    values = {"done": 4, "total": 10, "rejected": {"query_too_short": 1}, "usage": used}
    times = {"started_at": ago(20), "updated_at": ago(5), "advanced_at": ago(6)}
    progress(lake, "synthesize", 0, traffic={"answerer": traffic}, **values, **times)
    registry = CollectorRegistry()
    registry.register(RunCollector(lake, STAGES, lambda: NOW))
    text = generate_latest(registry).decode()
    return {
        sample.name for family in text_string_to_metric_families(text) for sample in family.samples
    }


def expressions() -> Iterator[tuple[str, str]]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        yield variable["name"], variable["definition"]
    for rule in ALERTS:
        yield rule["alert"], rule["expr"]


EXPRESSIONS = list(expressions())
each_expression = pytest.mark.parametrize(
    ("where", "promql"), EXPRESSIONS, ids=[name for name, _ in EXPRESSIONS]
)


@each_expression
def test_an_expression_asks_for_metrics_that_are_told(
    where: str, promql: str, told: dict[str, set[str]]
) -> None:
    asked = set(re.findall(r"\bparrot_[a-z_]+", promql))
    assert asked or 'up{job="parrot"}' in promql
    assert asked <= told.keys()


@each_expression
def test_an_expression_selects_and_groups_by_labels_that_the_metric_has(
    where: str, promql: str, told: dict[str, set[str]]
) -> None:
    metrics = set(re.findall(r"\bparrot_[a-z_]+", promql))
    have = set().union(*(told[metric] for metric in metrics)) | {"job"}
    selected = re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", promql)
    grouped = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", promql)
    asked = {*selected, *(label.strip() for group in grouped for label in group.split(","))}
    assert asked <= have


@each_expression
def test_an_expression_finds_its_metrics_in_a_scrape(
    where: str, promql: str, scraped: set[str]
) -> None:
    assert set(re.findall(r"\bparrot_[a-z_]+", promql)) <= scraped


@each_expression
def test_a_state_that_is_asked_for_is_one_that_there_is(where: str, promql: str) -> None:
    for states in re.findall(r'state=~?"([^"]*)"', promql):
        assert set(states.split("|")) <= set(STATES)


def test_every_metric_is_on_the_dashboard(told: dict[str, set[str]]) -> None:
    shown = {name for _, text in EXPRESSIONS for name in re.findall(r"\bparrot_[a-z_]+", text)}
    assert told.keys() == shown


def test_panels_do_not_overlap_and_fit_the_width() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_panels_ask_the_data_source_that_is_provisioned() -> None:
    file = GRAFANA / "provisioning" / "datasources" / "prometheus.yaml"
    (source,) = yaml.safe_load(file.read_text("utf-8"))["datasources"]
    asked = {panel["datasource"]["uid"] for panel in PANELS}
    asked |= {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert asked == {source["uid"]}


def test_the_alerts_an_operator_needs_are_there_and_say_what_to_do() -> None:
    assert {rule["alert"] for rule in ALERTS} >= {
        "ParrotRunFailed",
        "ParrotRunStalled",
        "ParrotBudgetNearlySpent",
        "ParrotProviderPaused",
    }
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool isn't installed")
@pytest.mark.parametrize(
    "command",
    [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")],
    ids=["syntax", "tests of the rules"],
)
def test_prometheus_own_tool_accepts_the_rules(command: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *command], cwd=PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool isn't installed")
def test_prometheus_own_tool_accepts_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    asked = [(where, text.replace("$__rate_interval", "5m")) for where, text in EXPRESSIONS]
    rules = [
        {"record": f"expression:{number}", "expr": text}
        for number, (_, text) in enumerate(asked)
        if not text.startswith("label_values")
    ]
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_prometheus_scrapes_the_services_of_compose() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    compose = DEPLOYMENTS.parent / "docker" / "compose.yaml"
    services = yaml.safe_load(compose.read_text("utf-8"))["services"]
    for job in config["scrape_configs"]:
        for static in job["static_configs"]:
            assert {target.split(":")[0] for target in static["targets"]} <= services.keys()
