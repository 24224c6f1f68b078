"""What was paid for or refused is never asked for again, however strange a neighbour was."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from parrot_core.engines.types import KeyRefused
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.toy_stages import SEEDS, drive, synthesis
from tests.support.servers.fake_api import FakeApi, Reply, canonical, echo_turns, serving

LAST_SEED = f"q{SEEDS - 1}?"


def opening(body: dict[str, Any]) -> str:
    return str(body["messages"][0]["content"])


def run_twice(api: FakeApi, folder: Path) -> Any:
    """A run that a refused key stops at its last session, and the one that goes on."""
    usual = api.behaviour

    def stops(number: int, body: dict[str, Any]) -> Reply:
        late = opening(body) == LAST_SEED and len(body["messages"]) > 1
        return Reply(status=401) if late else usual(number, body)

    run = synthesis(folder, api.base_url)
    api.behaviour = stops
    with pytest.raises(KeyRefused):
        drive(run, SynthesizeStage())
    api.behaviour = usual
    drive(run, SynthesizeStage())
    return run


def sent_again(api: FakeApi) -> set[str]:
    """Openings of requests that came more than once, but for the one that was stopped."""
    times = Counter(canonical(body) for body in api.requests if opening(body) != LAST_SEED)
    return {request for request, count in times.items() if count > 1}


def test_a_refused_request_is_remembered_with_the_providers_words(tmp_path: Path) -> None:
    def refuses(number: int, body: dict[str, Any]) -> Reply:
        if opening(body) == "q1?":
            return Reply(status=422, error={"message": "odd words", "code": "odd"})
        return echo_turns(number, body)

    with serving(refuses) as api:
        run = run_twice(api, tmp_path)
        assert not sent_again(api)
    (reject,) = run.lake.dataset("dialogues", run.name).rejects()
    assert reject["reason"] == "request_refused"


def test_half_a_character_costs_nothing_and_is_mended(tmp_path: Path) -> None:
    def cuts(number: int, body: dict[str, Any]) -> Reply:
        last = len(body["messages"]) == 1 and opening(body) == "q1?"
        return Reply("cut off \ud83d") if last else echo_turns(number, body)

    with serving(cuts) as api:
        run = run_twice(api, tmp_path)
        assert not sent_again(api)
    rows = {row["id"]: row for row in run.lake.dataset("dialogues", run.name).rows()}
    assert len(rows) == SEEDS
    assert rows["s1"]["messages"][1]["content"] == "cut off \ufffd"
