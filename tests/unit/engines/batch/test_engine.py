from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parrot_core.engines.types import RunError
from parrot_core.errors import PartiallyFailed
from tests.support.lakes.batch_runs import (
    HASTY,
    QUICK,
    REQUESTS,
    ROUNDS,
    batch_run,
    open_records,
    sold,
    synthesize,
)
from tests.support.lakes.toy_stages import SEEDS
from tests.support.servers.fake_api import Reply, canonical, echo_turns
from tests.support.servers.fake_batch_api import EXPIRED, TIMED_OUT, Fate, selling

Behaviour = Callable[[int, dict[str, Any]], Reply]


def test_a_batch_buys_the_same_requests_at_half_the_price(tmp_path: Path) -> None:
    with selling() as api:
        at_once = synthesize(batch_run(tmp_path / "once", api.base_url, batch={}))
        expected = sorted(canonical(body) for body in api.requests)
        api.requests.clear()
        run = batch_run(tmp_path / "batch", api.base_url)
        manifest = synthesize(run)
    assert sold(api) == expected
    assert manifest.accounting == at_once.accounting
    for engine in ("asker", "answerer"):
        batched, direct = manifest.usage[engine], at_once.usage[engine]
        assert batched.usd == pytest.approx(direct.usd / 2)
        assert (batched.requests, batched.prompt_tokens, batched.completion_tokens) == (
            direct.requests,
            direct.prompt_tokens,
            direct.completion_tokens,
        )
    assert open_records(run) == []


def test_all_shards_of_a_stage_share_a_round(tmp_path: Path) -> None:
    with selling() as api:
        synthesize(batch_run(tmp_path, api.base_url, {**QUICK, "max_wait_s": 60}))
    assert len(api.batches) == ROUNDS
    assert all(len(batch.lines) == SEEDS for batch in api.batches.values())


def test_a_round_is_cut_at_the_providers_limit(tmp_path: Path) -> None:
    with selling() as api:
        synthesize(batch_run(tmp_path, api.base_url, {**QUICK, "max_requests": 5}))
    assert max(len(batch.lines) for batch in api.batches.values()) == 5
    assert len(api.sold) == REQUESTS


def once(reply: Reply) -> Behaviour:
    """Fail the first request of each conversation, and never again."""
    failed: set[str] = set()

    def behave(number: int, body: dict[str, Any]) -> Reply:
        key = canonical(body)
        if len(body["messages"]) == 1 and key not in failed:
            failed.add(key)
            return reply
        return echo_turns(number, body)

    return behave


@pytest.mark.parametrize(
    "reply",
    [Reply(status=429), Reply(status=500), EXPIRED, TIMED_OUT],
    ids=["429", "500", "expired", "timed-out"],
)
def test_what_passes_is_asked_again_in_the_next_batch(
    tmp_path: Path, reply: Reply, whole: list[str]
) -> None:
    with selling(once(reply)) as api:
        manifest = synthesize(batch_run(tmp_path, api.base_url, HASTY))
    assert manifest.accounting.rows_out == SEEDS
    assert len(api.requests) == REQUESTS + SEEDS
    assert sold(api) == whole


def test_what_never_passes_stops_the_shard_in_the_end(tmp_path: Path) -> None:
    with selling(lambda number, body: Reply(status=503)) as api:
        run = batch_run(tmp_path, api.base_url, HASTY)
        with pytest.raises(PartiallyFailed, match="failed in 3 batches, the last: HTTP 503"):
            synthesize(run)
    assert len(api.requests) == 3 * SEEDS
    assert open_records(run) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [({"code": "content_filter"}, "content_filter"), ({}, "request_refused")],
)
def test_a_refused_request_ends_its_row_alone(
    tmp_path: Path, error: dict[str, Any], reason: str
) -> None:
    def refuse_one(number: int, body: dict[str, Any]) -> Reply:
        if body["messages"][0]["content"] == "q3?":
            return Reply(status=400, error=error)
        return echo_turns(number, body)

    with selling(refuse_one) as api:
        run = batch_run(tmp_path, api.base_url, HASTY)
        manifest = synthesize(run)
    assert manifest.accounting.rejected == {reason: 1}
    assert manifest.accounting.rows_out == SEEDS - 1
    assert open_records(run) == []


def test_an_expired_batch_is_paid_for_as_far_as_it_came_and_the_rest_asked_again(
    tmp_path: Path, whole: list[str]
) -> None:
    with selling() as api:
        api.fate = lambda number, lines: Fate("expired" if number == 1 else "completed")
        manifest = synthesize(batch_run(tmp_path, api.base_url, HASTY))
    assert manifest.accounting.rows_out == SEEDS
    assert sold(api) == whole


def test_a_batch_that_fails_its_validation_stops_the_run_and_says_why(
    tmp_path: Path, whole: list[str]
) -> None:
    why = {"code": "model_not_supported", "message": "not in batches", "line": 1}
    with selling() as api:
        api.fate = lambda number, lines: Fate("failed", (why,))
        run = batch_run(tmp_path, api.base_url, HASTY)
        with pytest.raises(RunError, match="batch_0, failed as a whole: model_not_supported: not"):
            synthesize(run)
        assert open_records(run) == []
        api.fate = lambda number, lines: Fate()
        synthesize(run)
    assert sold(api) == whole


def test_a_cancelled_batch_stops_the_run_and_the_next_one_asks_for_the_rest(
    tmp_path: Path, whole: list[str]
) -> None:
    with selling() as api:
        api.fate = lambda number, lines: Fate("cancelled" if number == 1 else "completed")
        run = batch_run(tmp_path, api.base_url, HASTY)
        with pytest.raises(RunError, match="batch_1 was cancelled"):
            synthesize(run)
        synthesize(run)
    assert sold(api) == whole


def test_a_provider_without_room_is_asked_for_less(tmp_path: Path, whole: list[str]) -> None:
    with selling() as api:
        api.most_open_requests = 5
        manifest = synthesize(batch_run(tmp_path, api.base_url, HASTY))
    assert manifest.accounting.rows_out == SEEDS
    assert sold(api) == whole


HUNG_UP = Reply(hang_up=True)


@pytest.mark.parametrize(
    ("what", "reply"),
    [
        ("upload", HUNG_UP),
        ("create", Reply(status=429)),
        ("create", Reply(status=500)),
        ("create", HUNG_UP),
        ("retrieve", Reply(status=500)),
        ("content", HUNG_UP),
    ],
    ids=["upload", "create-429", "create-500", "create-hang-up", "retrieve", "content"],
)
def test_an_answer_that_got_lost_buys_nothing_twice(
    tmp_path: Path, what: str, reply: Reply, whole: list[str]
) -> None:
    """But for the 429, the provider has done what it was told; only its answer was lost."""
    with selling() as api:
        api.lost = lambda call, number: reply if (call, number) == (what, 2) else None
        manifest = synthesize(batch_run(tmp_path, api.base_url, HASTY))
    assert manifest.accounting.rows_out == SEEDS
    assert sold(api) == whole


def test_a_batch_that_the_listing_shows_late_is_found_within_the_grace(
    tmp_path: Path, whole: list[str]
) -> None:
    def appear(what: str, number: int) -> None:
        if what == "list" and number == 4:
            api.hidden.clear()

    with selling() as api:
        api.hidden.add("batch_1")
        api.on = appear
        api.lost = lambda what, n: Reply(status=500) if (what, n) == ("create", 2) else None
        synthesize(batch_run(tmp_path, api.base_url, {**QUICK, "grace_s": 10}))
    assert sold(api) == whole


def test_text_with_unusual_line_ends_is_kept(tmp_path: Path) -> None:
    odd = "one\u2028two\u0085three\x0cfour"
    with selling(lambda number, body: Reply(f"{odd} {len(body['messages'])}")) as api:
        run = batch_run(tmp_path, api.base_url, HASTY)
        synthesize(run)
    rows = run.lake.dataset("dialogues", "test").rows()
    assert all(row["messages"][1]["content"].startswith(odd) for row in rows)


def test_without_a_key_none_is_sent(tmp_path: Path) -> None:
    with selling() as api:
        synthesize(batch_run(tmp_path, api.base_url))
    assert api.keys == {None}
