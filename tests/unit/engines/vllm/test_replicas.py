from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.connection import limit_name, strictest
from parrot_core.engines.request import request_body, request_key
from parrot_core.engines.types import RunError
from parrot_core.engines.vllm import fleet as vllm_fleet
from parrot_core.engines.vllm.replicas import (
    AWAY_S,
    Replicas,
    gpus_per_replica,
    session_of,
    share_gpus,
)
from parrot_core.engines.vllm.server import visible_gpus
from parrot_core.recipe import Limits, OpenAIEngine, Sampling, VllmEngine

NAMES = ["http://a", "http://b", "http://c"]


def three(now: list[float]) -> Replicas[str]:
    return Replicas([(name, name) for name in NAMES], lambda: now[0])


@pytest.mark.parametrize(
    ("sample", "session"),
    [
        ("s1/t3/answer", "s1"),
        ("chat/42/t2/judge/0", "chat/42"),
        ("s1/t4/hallucination/guess/1", "s1"),
        ("s1/t4", "s1"),
        ("loose", "loose"),
    ],
)
def test_a_session_is_the_row_that_a_sample_is_for(sample: str, session: str) -> None:
    assert session_of(sample) == session


@given(st.text(max_size=20))
def test_a_session_stays_with_its_replica_and_moves_only_if_that_one_is_gone(name: str) -> None:
    now = [0.0]
    replicas = three(now)
    home = replicas.pick(name)[0]
    assert replicas.pick(name)[0] == home
    other = next(each for each in NAMES if each != home)
    replicas.unreachable(other)
    assert replicas.pick(name)[0] == home
    assert replicas.unreachable(home)
    assert replicas.pick(name)[0] not in (home, other)
    now[0] = AWAY_S + 1
    assert replicas.pick(name)[0] == home


def test_sessions_are_spread_evenly() -> None:
    replicas = three([0.0])
    picked = [replicas.pick(f"s{number}")[0] for number in range(3000)]
    assert all(900 < picked.count(name) < 1100 for name in NAMES)


def test_without_any_replica_left_the_request_still_goes_somewhere() -> None:
    replicas = three([0.0])
    assert [replicas.unreachable(name) for name in NAMES] == [True, True, False]
    assert replicas.pick("s")[0] in NAMES


def test_the_journal_knows_nothing_of_replicas_and_limits_belong_to_the_model() -> None:
    one = OpenAIEngine(model="m", base_url="http://a/v1", replica_urls=("http://b/v1",))
    assert limit_name("answerer", one) == limit_name(
        "judge", OpenAIEngine(model="m", base_url="http://a/v1/")
    )
    body = request_body("m", [{"role": "user", "content": "x"}], Sampling(), 1)
    assert request_key("openai", body, "s/t1/answer") == request_key("openai", body, "s/t1/answer")
    both = strictest([Limits(concurrency=8, tokens_per_minute=5), Limits(requests_per_minute=9)])
    assert (both.concurrency, both.tokens_per_minute, both.requests_per_minute) == (8, 5, 9)


@pytest.mark.parametrize(
    ("args", "gpus"),
    [
        ((), 1),
        (("--tensor-parallel-size=4",), 4),
        (("--tensor-parallel-size", "2", "--enable-prefix-caching"), 2),
        (("-tp", "2", "--pipeline-parallel-size=3"), 6),
        (("-tp=8",), 8),
    ],
)
def test_the_gpus_of_a_replica_follow_from_its_arguments(args: tuple[str, ...], gpus: int) -> None:
    assert gpus_per_replica(args) == gpus


def test_replicas_get_gpus_of_their_own_or_the_run_says_what_is_missing() -> None:
    assert share_gpus("m", ["4", "5", "6", "7"], 2, 2) == ["4,5", "6,7"]
    with pytest.raises(RunError, match="3 replicas of 2 GPUs, but this machine offers 4"):
        share_gpus("m", ["4", "5", "6", "7"], 3, 2)


def test_gpus_are_those_that_are_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert visible_gpus(proc=tmp_path) == ["0", "1"]
    assert visible_gpus(proc=tmp_path / "none") == []
    assert visible_gpus("2, 3") == ["2", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    assert visible_gpus() == ["5"]


def test_each_replica_of_a_vllm_engine_gets_its_own_part_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vllm_fleet, "is_cpu_build", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    two = VllmEngine(model="m", replicas=2, args=("--tensor-parallel-size=2",))
    one = VllmEngine(model="n")
    found = vllm_fleet._devices([two, one])
    visible = [each.get("CUDA_VISIBLE_DEVICES") for each in found]
    assert visible == ["0,1", "2,3", None]
    monkeypatch.setattr(vllm_fleet, "is_cpu_build", lambda: True)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3, 4, 5})
    bound = [each["VLLM_CPU_OMP_THREADS_BIND"] for each in vllm_fleet._devices([two, one])]
    assert bound == ["0,1", "2,3", "4,5"]
