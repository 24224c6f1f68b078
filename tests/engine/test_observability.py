"""A real run seen from outside: its log lines, its logs on the server, its trace."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from parrot_core.execution.pinning import pinned_before
from tests.support.lakes.run_state import publish
from tests.support.lakes.toy_stages import synthesis
from tests.support.servers import patient_http
from tests.support.servers.fake_api import Reply, echo_turns, serving
from tests.support.servers.otlp_receiver import Collector, collecting

pytestmark = pytest.mark.engine

KEY = "sk-planted-77ab01c3e9"
COMMAND = [sys.executable, "-c", "from parrot_cli.main import main; main()"]


@dataclass(frozen=True)
class Seen:
    """What a run left: lines on standard error, logs of Prefect's API, spans."""

    lines: list[dict[str, Any]]
    stderr: str
    logs: list[dict[str, Any]]
    tasks: dict[str, str]  # id → name
    collector: Collector


def moody(number: int, body: dict[str, Any]) -> Reply:
    """Busy now and then, and talkative about keys."""
    if number % 10 == 0:
        error = {"message": f"slow down, {KEY}"}
        return Reply(status=429, headers={"retry-after-ms": "10"}, error=error)
    return echo_turns(number, body)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("run")
    with serving(moody) as api, collecting() as collector:
        environment = {
            **os.environ,
            "PARROT_SERVER_HOME": str(folder / "prefect"),
            "PYTHONPATH": os.getcwd(),
            "PARROT_LOG_FORMAT": "json",
            "PARROT_LOG_LEVEL": "DEBUG",
            "PLANTED_KEY": KEY,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        }
        engine = {
            "kind": "openai",
            "model": "m",
            "base_url": api.base_url,
            "api_key_env": "PLANTED_KEY",
            "limits": {"concurrency": 4, "max_retries": 3, "max_pause_s": 60},
            "price": {"input_per_million": 1, "output_per_million": 1, "as_of": "2026-01-01"},
        }
        engines = dict.fromkeys(("asker", "answerer", "judge"), engine)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PLANTED_KEY", KEY)
            base = synthesis(folder / "lake", api.base_url, engines=engines)
        publish(base.lake, "ingest", run="test")
        publish(base.lake, "train-ask", run="test")
        pinned = pinned_before(base.recipe, "synthesize", "test")
        recipe = pinned.model_dump(mode="json") | {"traces": {"requests": 0.5}}
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        run = ["run", "recipe.yaml", "--name", "seen", "--until", "synthesize"]
        try:
            done = subprocess.run(
                [*COMMAND, *run], cwd=folder, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            port = json.loads((folder / "prefect" / "server.json").read_text())["port"]
            api_url = f"http://127.0.0.1:{port}/api"
            logs = patient_http.post(f"{api_url}/logs/filter", json={}).json()
            tasks = patient_http.post(f"{api_url}/task_runs/filter", json={}).json()
        finally:
            subprocess.run([*COMMAND, "server", "stop"], cwd=folder, env=environment, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    names = {task["id"]: task["name"] for task in tasks}
    return Seen(lines, done.stderr, logs, names, collector)


def test_every_line_is_json_and_those_of_a_shard_name_it(seen: Seen) -> None:
    assert {each["level"] for each in seen.lines} >= {"INFO", "DEBUG"}
    assert any("Prefect UI" in each["message"] for each in seen.lines)
    ended = [each for each in seen.lines if each["logger"] == "parrot_core.execution.attempt"]
    assert [(each["run"], each["stage"]) for each in ended] == [("seen", "synthesize")] * 2
    assert {each["shard"] for each in ended} == {0, 1}
    published = [each for each in seen.lines if each["message"].startswith("synthesize: 2 of 2")]
    assert [(each["run"], each["stage"]) for each in published] == [("seen", "synthesize")]


def test_lines_about_requests_name_their_session(seen: Seen) -> None:
    refused = [each for each in seen.lines if "HTTP 429" in each["message"]]
    assert refused
    for each in refused:
        assert each["session"] in {f"s{number}" for number in range(12)}
        assert each["shard"] in (0, 1)
        assert each["stage"] == "synthesize"


def test_what_parrot_core_logs_is_in_the_logs_of_its_task_run(seen: Seen) -> None:
    ours = [each for each in seen.logs if each["name"] == "parrot_core.execution.attempt"]
    told = {(seen.tasks[each["task_run_id"]], each["message"].split(":")[0]) for each in ours}
    assert told == {
        ("synthesize-00000", "shard 0 of synthesize"),
        ("synthesize-00001", "shard 1 of synthesize"),
    }


def test_no_line_holds_a_key(seen: Seen) -> None:
    assert KEY not in seen.stderr
    assert KEY not in json.dumps(seen.logs)


def test_the_trace_goes_from_the_run_to_requests_through_stage_and_shard(seen: Seen) -> None:
    collector = seen.collector
    assert collector.paths == {"/v1/traces"}
    (run,) = collector.named("run seen")
    (stage,) = collector.named("stage synthesize")
    shards = [each for each in collector.spans if "parrot.attempt" in each.attributes]
    requests = collector.named("chat m")
    assert {each.attributes["parrot.shard"] for each in shards} == {0, 1}
    assert requests
    for each in requests:
        shard = f"synthesize {each.attributes['parrot.shard']}"
        assert collector.ancestors(each)[:3] == [shard, stage.name, run.name]
        assert each.attributes["gen_ai.request.model"] == "m"
        assert int(each.attributes["gen_ai.usage.output_tokens"]) > 0
    assert {each.trace for each in (stage, *shards, *requests)} == {run.trace}
    assert {each.service for each in collector.spans} == {"parrot-factory"}
    assert KEY not in str(collector.spans)


def test_prefects_own_spans_of_flow_and_task_runs_are_in_the_same_trace(seen: Seen) -> None:
    (run,) = seen.collector.named("run seen")
    flow_runs = [
        each for each in seen.collector.spans if each.attributes.get("prefect.run.type") == "flow"
    ]
    assert {each.name for each in flow_runs} == {"seen", "seen-synthesize"}
    assert {each.trace for each in flow_runs} == {run.trace}
    assert seen.collector.ancestors(run) == ["seen"]
    (stage,) = (each for each in flow_runs if each.name == "seen-synthesize")
    assert stage.parent == run.id


def test_a_line_of_a_shard_leads_to_its_span(seen: Seen) -> None:
    shards = [each for each in seen.collector.spans if "parrot.attempt" in each.attributes]
    by_id = {each.id: each.attributes["parrot.shard"] for each in shards}
    ended = [each for each in seen.lines if each["logger"] == "parrot_core.execution.attempt"]
    assert [by_id[each["span_id"]] for each in ended] == [each["shard"] for each in ended]
