"""Real signals to a real ``parrot run``: it keeps what is in flight, ends in time, and goes on."""

import json
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from parrot_core.lake.lake import Lake
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.lake.stops import Stops
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, synthesis
from tests.support.runs.command import Cli, Command, processes_of, until
from tests.support.runs.factory import sharegpt_file
from tests.support.servers.fake_api import Reply, canonical, echo_turns, serving
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_amid_synthesis_keeps_what_is_in_flight_and_the_same_command_goes_on(
    cli: Cli, tmp_path: Path, number: signal.Signals
) -> None:
    with serving(slow) as api:
        recipe = recipe_of(tmp_path / "lake", api.base_url)
        arguments = ("run", cli.recipe(f"r{number}", recipe), "--only", "synthesize")
        running = cli.start(*arguments)
        until("12 requests", lambda: len(api.requests) >= 12)
        asked = time.monotonic()
        running.signal(number)
        assert running.wait() == 128 + number
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
        assert number.name in stopped[0]
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
    found = httpx.post(f"{api_of(cli)}/flow_runs/filter", json={**wanted, "limit": 1}).json()
    return dict(found[0])


def api_of(cli: Cli) -> str:
    return f"{cli.call('server', 'start').stdout.split()[-1]}/api"


def test_a_run_that_is_cancelled_in_prefect_stops_here(cli: Cli, tmp_path: Path) -> None:
    with serving(slow) as api:
        recipe = {**recipe_of(tmp_path / "lake", api.base_url), "name": "unwanted"}
        running = cli.start("run", cli.recipe("unwanted", recipe), "--only", "synthesize")
        until("8 requests", lambda: len(api.requests) >= 8)
        url = f"{api_of(cli)}/flow_runs/{newest(cli, 'unwanted-synthesize')['id']}/set_state"
        cancelling = {"state": {"type": "CANCELLING"}, "force": True}
        assert httpx.post(url, json=cancelling).status_code == 201
        assert running.wait(30) == 130, running.shown[-2000:]
    stopped = Stops(Lake(str(tmp_path / "lake")).storage, "unwanted").read()
    assert stopped is not None
    assert "cancelled in Prefect" in stopped[0]


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
        assert running.wait(3) == 130


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
    nodes = on_two_nodes(cli, "run", path, *settings, "--set", "train_ask.devices.nodes=2")

    def trains() -> bool:
        told = records.progress()
        return told is not None and told.done > 5

    ended_in_time(nodes(), trains)
    assert records.failures() == []
    top = records.claims.top()
    assert top is not None
    assert top.state == "released"
    assert processes_of(cli.folder) == []
    for again in nodes():
        assert again.wait() == 0, again.shown[-3000:]
    (told,) = cli.folder.rglob("train-ask/progress.jsonl")
    steps = [json.loads(line) for line in told.read_text().splitlines() if '"loss"' in line]
    assert [line["step"] for line in steps] == list(range(1, 301)), "no step is taken twice"


def on_two_nodes(cli: Cli, *arguments: str) -> Callable[[], Sequence[Command]]:
    """Begins a command as a launcher does that starts it on each of two nodes."""

    def begin() -> Sequence[Command]:
        told = {"PET_NNODES": "2", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": f"{port}"}
        return [
            Command(list(arguments), cli.folder, {**cli.environment, **told, "PET_NODE_RANK": rank})
            for rank in "01"
        ]

    port = free_port()
    return begin


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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


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
    found = httpx.post(f"{address}/api/flow_runs/filter", json={"limit": 200}).json()
    assert "RUNNING" not in {each["state_type"] for each in found}
    assert "CRASHED" in {each["state_type"] for each in found}
