"""What ends a real ``parrot run``: signals, Prefect, a failure. All is kept, and it goes on."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dashboard.watch import StateWatcher
from parrot_core.lake.lake import Lake
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.lake.stops import Stops
from parrot_core.stages.registry import STAGE_SPECS
from tests.support.lakes.batch_runs import batch_recipe, batch_run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, synthesis
from tests.support.runs.command import Cli, Command, processes_of, until
from tests.support.runs.factory import sharegpt_file
from tests.support.servers import patient_http
from tests.support.servers.fake_api import Reply, canonical, echo_turns, serving
from tests.support.servers.fake_batch_api import selling
from tests.support.servers.ports import free_port
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine

LIMIT_S = 15.0


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    made = Cli(tmp_path_factory.mktemp("stopping"))
    yield made
    made.call("server", "stop")


def slow(number: int, body: dict[str, Any]) -> Reply:
    return Reply(echo_turns(number, body).text, delay_s=1.0)


def recipe_of(lake: Path, url: str, **changes: Any) -> dict[str, Any]:
    """A synthesis of published seeds, and nothing else."""
    shape = {"max_turns": 4, "min_turns": 2, "sessions_per_shard": 3, "sessions_in_flight": 2}
    run = synthesis(lake, url, synthesize=shape)
    recipe = run.recipe.model_dump(mode="json")
    return {**recipe, "name": "stopped", "inputs": {"seeds": "test"}, **changes}


def test_a_signal_amid_synthesis_keeps_what_is_in_flight_and_the_same_command_goes_on(
    cli: Cli, tmp_path: Path
) -> None:
    with serving(slow) as api:
        recipe = recipe_of(tmp_path / "lake", api.base_url)
        arguments = ("run", cli.recipe("interrupted", recipe), "--only", "synthesize")
        running = cli.start(*arguments)
        until("12 requests", lambda: len(api.requests) >= 12)
        asked = time.monotonic()
        running.signal(signal.SIGTERM)
        assert running.wait() == 143
        assert time.monotonic() - asked < LIMIT_S
        assert "stopping: keeping what is in flight, press again to stop at once" in running.shown
        sent = len(api.requests)
        time.sleep(1.5)
        assert len(api.requests) == sent
        assert processes_of(cli.folder) == []
        storage = Lake(str(tmp_path / "lake")).storage
        records = StageRecords(storage, "stopped", "synthesize")
        tops = [records.shard(n).claims.top() for n in range(SEEDS // 3)]
        assert all(top is None or top.state == "released" or top.receipt for top in tops)
        assert all(records.shard(n).failures() == [] for n in range(SEEDS // 3))
        stopped = Stops(storage, "stopped").read()
        assert stopped is not None
        assert "SIGTERM" in stopped[0]
        assert newest(cli, "stopped")["state_type"] == "CANCELLED"

        again = cli.start(*arguments)
        assert again.wait() == 0, again.shown[-3000:]
    bought = Counter(canonical(body) for body in api.requests)
    assert set(bought.values()) == {1}, "nothing is bought twice"
    made = Lake(str(tmp_path / "lake")).manifest("dataset", "dialogues", "stopped")
    assert made.accounting.rows_out == SEEDS


def newest(cli: Cli, run: str) -> dict[str, Any]:
    """The flow run of a run that was begun last, as Prefect shows it."""
    wanted = {"flow_runs": {"name": {"any_": [run]}}, "sort": "EXPECTED_START_TIME_DESC"}
    found = patient_http.post(f"{api_of(cli)}/flow_runs/filter", json={**wanted, "limit": 1}).json()
    return dict(found[0])


def api_of(cli: Cli) -> str:
    return f"{cli.call('server', 'start').stdout.split()[-1]}/api"


def set_cancelling(cli: Cli, flow_run: str) -> None:
    url = f"{api_of(cli)}/flow_runs/{newest(cli, flow_run)['id']}/set_state"
    cancelling = {"state": {"type": "CANCELLING"}, "force": True}
    assert patient_http.post(url, json=cancelling).status_code == 201


def delete(cli: Cli, flow_run: str) -> None:
    url = f"{api_of(cli)}/flow_runs/{newest(cli, flow_run)['id']}"
    assert patient_http.delete(url).status_code == 204


def cancel_by_command(cli: Cli, flow_run: str) -> None:
    lake = ("--lake", str(cli.folder / "unwanted" / "lake"))
    said = cli.call("cancel", flow_run, *lake)
    assert f"run '{flow_run}' is cancelled" in said.stdout, said.stderr


@pytest.mark.parametrize(
    ("unwanted", "flow_run", "why"),
    [
        (set_cancelling, "unwanted", "cancelled in Prefect"),
        (delete, "unwanted-synthesize", "deleted in Prefect"),
        (delete, "unwanted", "deleted in Prefect"),
        (cancel_by_command, "unwanted", "cancelled"),
    ],
)
def test_a_run_that_is_cancelled_or_deleted_in_prefect_stops_here(
    cli: Cli, unwanted: Callable[[Cli, str], None], flow_run: str, why: str
) -> None:
    lake = cli.folder / "unwanted" / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    with serving(slow) as api:
        recipe = {**recipe_of(lake, api.base_url), "name": "unwanted"}
        arguments = ("run", cli.recipe("unwanted", recipe), "--only", "synthesize")
        running = cli.start(*arguments)
        until("8 requests", lambda: len(api.requests) >= 8)
        unwanted(cli, flow_run)
        asked = time.monotonic()
        assert running.wait(30) == 130, running.shown[-3000:]
        assert time.monotonic() - asked < LIMIT_S + 5
        sent = len(api.requests)
    storage = Lake(str(lake)).storage
    stopped = Stops(storage, "unwanted").read()
    assert stopped is not None
    assert why in stopped[0]
    records = StageRecords(storage, "unwanted", "synthesize")
    assert all(records.shard(n).failures() == [] for n in range(SEEDS // 3))
    assert sent < SEEDS * 7
    if unwanted is cancel_by_command:
        logged = cli.call("logs", "unwanted", "--lake", str(lake))
        assert "synthesize: 4 of 4 shards left" in logged.stdout, logged.stderr


def test_a_second_signal_ends_it_at_once(cli: Cli, tmp_path: Path) -> None:
    def hanging(number: int, body: dict[str, Any]) -> Reply:
        return Reply("late", delay_s=60.0)

    with serving(hanging) as api:
        recipe = recipe_of(tmp_path / "lake", api.base_url)
        running = cli.start("run", cli.recipe("twice", recipe), "--only", "synthesize")
        until("a request", lambda: bool(api.requests))
        running.signal(signal.SIGINT)
        until("the first is heard", lambda: "press again" in running.shown)
        running.signal(signal.SIGINT)
        assert running.wait(6) == 130  # less than what is in flight is given


def test_a_run_from_python_keeps_what_is_in_flight_and_a_second_signal_ends_it_at_once(
    cli: Cli, tmp_path: Path
) -> None:
    def hanging(number: int, body: dict[str, Any]) -> Reply:
        return Reply("late", delay_s=60.0)

    with serving(hanging) as api:
        path = cli.recipe("python", recipe_of(tmp_path / "lake", api.base_url))
        code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        code += "from parrot_core import run, load_recipe; "
        code += "run(load_recipe(sys.argv[1]), only=['synthesize'])"
        for signals, most_s in ((1, LIMIT_S), (2, 7.0)):
            begun = len(api.requests)
            running = subprocess.Popen(
                [sys.executable, "-c", code, path], cwd=cli.folder, env=cli.environment
            )
            until("a request", lambda begun=begun: len(api.requests) > begun)  # type: ignore[misc]
            asked = time.monotonic()
            for _ in range(signals):
                running.send_signal(signal.SIGINT)
                time.sleep(1.0)
            assert running.wait(60) != 0
            assert time.monotonic() - asked < most_s
    storage = Lake(str(tmp_path / "lake")).storage
    records = StageRecords(storage, "stopped", "synthesize")
    assert all(records.shard(n).failures() == [] for n in range(SEEDS // 3))
    assert Stops(storage, "stopped").read() is not None


def test_what_fails_before_it_has_a_plan_is_seen_as_failed_with_its_message(
    cli: Cli, tmp_path: Path
) -> None:
    recipe = minimal_recipe(
        str(tmp_path / "lake"), name="unplanned", ingest={"sources": [f"{tmp_path}/nowhere.json"]}
    )
    path = cli.recipe("unplanned", recipe.model_dump(mode="json"))
    done = cli.call("run", path, "--until", "ingest")
    assert done.returncode == 2, done.stderr
    assert "nowhere.json" in done.stderr.strip().splitlines()[-1]
    lake = ("--lake", str(tmp_path / "lake"))
    shown = cli.call("status", "unplanned", *lake).stdout
    assert "unplanned failed" in shown
    assert "nowhere.json" in shown
    scraped = cli.call("metrics", "--once", *lake).stdout
    assert 'parrot_run_state{run="unplanned",state="failed"} 1.0' in scraped
    dashboard = StateWatcher(Lake(str(tmp_path / "lake")), STAGE_SPECS)
    stage = dashboard.run("unplanned").stage("ingest")
    assert stage is not None
    assert stage.failure is not None
    assert "nowhere.json" in stage.failure.message


def test_a_signal_amid_ingest_and_amid_a_training_over_nodes_ends_them_in_time_and_both_go_on(
    cli: Cli, tmp_path: Path
) -> None:
    training = {"max_length": 128, "batch_size": 4, "per_device_batch_size": 4, "save_steps": 1000}
    recipe = minimal_recipe(
        str(tmp_path / "lake"),
        name="trained",
        ingest={
            "sources": [str(sharegpt_file(tmp_path / "chats.json", 60_000))],
            "languages": [],
        },
        train_ask={
            "base": str(build_tiny_model(tmp_path / "model")),
            **training,
            "max_examples": 64,
            "epochs": 100,
            "max_steps": 300,
        },
    )
    path = cli.recipe("trained", recipe.model_dump(mode="json"))
    storage = Lake(str(tmp_path / "lake")).storage
    records = StageRecords(storage, "trained", "ingest").shard(0)
    ended_in_time([cli.start("run", path, "--only", "ingest")], lambda: has_begun(records))
    assert records.failures() == []

    small = sharegpt_file(tmp_path / "few.json", 60)
    settings = ("--set", f"ingest.sources=['{small}']", "--name", "few", "--until", "train-ask")
    records = StageRecords(storage, "few", "train-ask").shard(0)
    port, over_nodes = free_port(), (*settings, "--set", "train_ask.devices.nodes=2")

    def trains() -> bool:
        told = records.progress()
        return told is not None and told.done > 5

    ended_in_time(cli.start_on_nodes(2, port, "run", path, *over_nodes), trains)
    assert records.failures() == []
    top = records.claims.top()
    assert top is not None
    assert top.state == "released"
    assert processes_of(cli.folder) == []
    for again in cli.start_on_nodes(2, port, "run", path, *over_nodes):
        assert again.wait() == 0, again.shown[-3000:]
    (told,) = cli.folder.rglob("train-ask/progress.jsonl")
    steps = [json.loads(line) for line in told.read_text().splitlines() if '"loss"' in line]
    assert [line["step"] for line in steps] == list(range(1, 301)), "no step is taken twice"


def has_begun(records: ShardRecords) -> bool:
    return bool(records.progress())


def ended_in_time(commands: Sequence[Command], ready: Callable[[], bool]) -> None:
    """Interrupt a run once it is at work, and see it end."""

    def ended() -> bool:
        return any(running.process.poll() is not None for running in commands)

    until("it is at work", lambda: ready() or ended())
    assert not ended(), [running.shown[-2000:] for running in commands]
    asked = time.monotonic()
    for running in commands:
        running.signal(signal.SIGINT)
    assert [running.wait() for running in commands] == [130] * len(commands), commands[0].shown
    assert time.monotonic() - asked < LIMIT_S


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_serves_ends_when_asked(cli: Cli, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "lake").mkdir()
    for command in ("dashboard", "metrics"):
        port = free_port()
        running = cli.start(command, "--lake", str(tmp_path / "lake"), "--port", str(port))
        until("it answers", lambda port=port: answers(port))  # type: ignore[misc]
        running.signal(number)
        assert running.wait(LIMIT_S) in (0, -number, 128 + number), running.shown[-2000:]


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_two_runs_of_one_recipe_share_the_shards_and_both_end_well(
    cli: Cli, tmp_path: Path
) -> None:
    with serving(slow) as api:
        recipe = recipe_of(tmp_path / "lake", api.base_url, shards_at_once=1)
        path = cli.recipe("both", recipe)
        arguments = ("run", path, "--only", "synthesize")
        running = [cli.start(*arguments), cli.start(*arguments)]
        codes = [each.wait() for each in running]
        assert codes == [0, 0], "\n".join(each.shown[-2000:] for each in running)
    bought = Counter(canonical(body) for body in api.requests)
    assert set(bought.values()) == {1}
    storage = Lake(str(tmp_path / "lake")).storage
    receipts = StageRecords(storage, "stopped", "synthesize").receipts(range(SEEDS // 3))
    assert len({receipt.worker for receipt in receipts.values()}) == 2


def test_a_run_that_was_killed_is_not_running_for_ever_in_prefect(cli: Cli, tmp_path: Path) -> None:
    with serving(slow) as api:
        recipe = recipe_of(tmp_path / "lake", api.base_url)
        arguments = ("run", cli.recipe("killed", recipe), "--only", "synthesize")
        running = cli.start(*arguments)
        until("8 requests", lambda: len(api.requests) >= 8)
        running.signal(signal.SIGKILL)
        running.wait()
        assert cli.start(*arguments).wait() == 0
    address = cli.call("server", "start").stdout.split()[-1]
    found = patient_http.post(f"{address}/api/flow_runs/filter", json={"limit": 200}).json()
    assert "RUNNING" not in {each["state_type"] for each in found}
    assert "CRASHED" in {each["state_type"] for each in found}


def test_a_signal_amid_a_batch_leaves_the_batch_at_work_and_its_answers_are_taken_later(
    cli: Cli, tmp_path: Path
) -> None:
    with selling() as api:
        api.held = True  # batches stay in progress
        batch_run(tmp_path / "lake", api.base_url)
        recipe = batch_recipe(tmp_path / "lake", api.base_url, name="batched")
        given = {**recipe.model_dump(mode="json"), "inputs": {"seeds": "test"}}
        arguments = ("run", cli.recipe("batched", given), "--only", "synthesize")
        ended_in_time([cli.start(*arguments)], lambda: bool(api.asked.get("retrieve")))
        assert api.asked.get("cancel") is None, "what was paid for goes on"
        records = StageRecords(Lake(str(tmp_path / "lake")).storage, "batched", "synthesize")
        assert all(records.shard(n).failures() == [] for n in range(3))
        api.held = False
        again = cli.start(*arguments)
        assert again.wait() == 0, again.shown[-3000:]
    assert set(Counter(map(canonical, api.sold)).values()) == {1}, "nothing is bought twice"
    assert processes_of(cli.folder) == []


def test_a_signal_amid_an_evaluation_keeps_its_scores(cli: Cli, tmp_path: Path) -> None:
    def judging(number: int, body: dict[str, Any]) -> Reply:
        said = "[[7]]" if body["model"] == "judge" else echo_turns(number, body).text
        return Reply(said, delay_s=0.5)

    questions = tmp_path / "questions.jsonl"
    lines = [{"question_id": n, "category": "math", "turns": ["A?", "B?"]} for n in range(12)]
    questions.write_text("\n".join(map(json.dumps, lines)))
    with serving(judging) as api:
        engine = {"kind": "openai", "base_url": api.base_url, "api_key_env": None}
        engine |= {"limits": {"concurrency": 2}}
        engines = {name: {**engine, "model": name} for name in ("asker", "answerer", "judge")}
        wanted = {"subjects": {"chat": "answerer"}, "questions": str(questions)}
        wanted |= {"questions_per_shard": 3}
        given = minimal_recipe(
            str(tmp_path / "lake"), api.base_url, name="judged", engines=engines, evaluate=wanted
        )
        path = cli.recipe("judged", given.model_dump(mode="json"))
        arguments = ("run", path, "--only", "evaluate")
        ended_in_time([cli.start(*arguments)], lambda: len(api.requests) >= 8)
        again = cli.start(*arguments)
        assert again.wait() == 0, again.shown[-3000:]
    assert set(Counter(map(canonical, api.requests)).values()) == {1}
    made = Lake(str(tmp_path / "lake")).manifest("dataset", "judgments", "judged")
    assert made.accounting.rows_out == 24


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("in_the_background")
def test_workers_end_when_asked(cli: Cli, number: signal.Signals) -> None:
    cli.call("server", "start")
    running = cli.start("workers", "cpu", "api")
    until("both are up", lambda: running.shown.count("started!") == 2)
    asked = time.monotonic()
    running.signal(number)
    assert running.wait() == 0, running.shown[-2000:]
    assert time.monotonic() - asked < LIMIT_S
    assert processes_of(cli.folder) == []
