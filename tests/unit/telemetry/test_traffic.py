"""Requests are counted as they happen, by engine, over all attempts at a shard."""

from pathlib import Path
from typing import Any

import pytest

from parrot_core.errors import PartiallyFailed
from parrot_core.lake.run_records import StageRecords
from parrot_core.stages.synthesis.stage import SynthesizeStage
from parrot_core.telemetry.traffic import LATENCY_BOUNDS_S, Traffic, sum_traffic
from tests.support.lakes.toy_stages import drive, synthesis
from tests.support.servers.fake_api import Reply, echo_turns, serving

PATIENT: dict[str, Any] = {"concurrency": 4, "max_retries": 3, "max_pause_s": 60}


def recorded(run: Any, shard: int) -> dict[str, Traffic]:
    receipt = StageRecords(run.lake.storage, run.name, "synthesize").shard(shard).receipt()
    assert receipt is not None
    return dict(receipt.traffic)


def engine(base_url: str, **limits: Any) -> dict[str, Any]:
    return {
        "kind": "openai",
        "model": "m",
        "base_url": base_url,
        "api_key_env": None,
        "limits": {**PATIENT, **limits},
        "price": {"input_per_million": 1, "output_per_million": 1, "as_of": "2026-01-01"},
    }


def test_a_receipt_tells_answers_refusals_by_kind_and_latencies(tmp_path: Path) -> None:
    def moody(number: int, body: dict[str, Any]) -> Reply:
        if number in (3, 4):
            return Reply(status=429, headers={"retry-after-ms": "1"})
        return Reply(status=503) if number == 5 else echo_turns(number, body)

    with serving(moody) as api:
        asked = dict.fromkeys(("asker", "answerer", "judge"), engine(api.base_url))
        run = synthesis(tmp_path, api.base_url, engines=asked)
        manifest = drive(run, SynthesizeStage())
    shards = [recorded(run, index) for index in range(2)]
    total = sum_traffic(shards)
    assert sum(each.answers for each in total.values()) == len(api.requests) - 3
    assert {name: each.answers for name, each in total.items()} == {
        name: used.requests for name, used in manifest.usage.items()
    }
    assert sum(each.failures.get("429", 0) for each in total.values()) == 2
    assert sum(each.failures.get("5xx", 0) for each in total.values()) == 1
    for each in total.values():
        assert each.in_flight == 0
        assert sum(each.latencies) == each.answers
        assert each.latency_s > 0


def test_what_a_failed_attempt_met_is_counted_at_once_and_kept(tmp_path: Path) -> None:
    def broken(number: int, body: dict[str, Any]) -> Reply:
        return Reply(status=500) if number > 8 else echo_turns(number, body)

    with serving(broken) as api:
        impatient = engine(api.base_url, max_retries=0, max_pause_s=0)
        asked = dict.fromkeys(("asker", "answerer", "judge"), impatient)
        run = synthesis(tmp_path, api.base_url, engines=asked)
        with pytest.raises(PartiallyFailed):
            drive(run, SynthesizeStage())
        records = StageRecords(run.lake.storage, run.name, "synthesize")
        told = [records.shard(n).progress() for n in range(2)]
        before = sum_traffic(each.traffic for each in told if each is not None)
        failed = len(api.requests) - 8
        assert sum(each.failures.get("5xx", 0) for each in before.values()) == failed >= 1
        api.behaviour = echo_turns
        drive(run, SynthesizeStage())
    after = sum_traffic(recorded(run, index) for index in range(2))
    assert sum(each.failures.get("5xx", 0) for each in after.values()) == failed
    assert sum(each.answers for each in after.values()) == len(api.requests) - failed


@pytest.mark.parametrize("seconds", [0.0, *LATENCY_BOUNDS_S, 1e6])
def test_a_latency_is_counted_in_the_first_bucket_that_holds_it(seconds: float) -> None:
    traffic = Traffic()
    traffic.answered(seconds)
    (bucket,) = (n for n, count in enumerate(traffic.latencies) if count)
    assert bucket == sum(bound < seconds for bound in LATENCY_BOUNDS_S)
