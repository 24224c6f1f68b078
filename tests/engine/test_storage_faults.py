"""A lake on a real S3 server behind a line that loses, delays and refuses requests."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from parrot_core.errors import PartiallyFailed, StorageError
from parrot_core.execution.runs import begin_run
from parrot_core.lake import gc
from parrot_core.lake.lake import Lake
from parrot_core.lake.requests import counted, requests_of
from parrot_core.lake.storage import Storage
from parrot_core.lake.verify import verify_version
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, SeedStage, drive, synthesis
from tests.support.servers.fake_api import canonical, serving
from tests.support.servers.faulty_proxy import Faults, FaultyProxy, faulty_proxy
from tests.support.servers.s3_server import use_s3

pytestmark = pytest.mark.engine

LINE = {
    "busy": 0.04,
    "broken": 0.04,
    "cut_before": 0.03,
    "cut_after": 0.03,
    "cut_within": 0.03,
    "slow": 0.02,
    "conflict": 0.05,
}


@pytest.fixture
def proxy(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    with faulty_proxy(endpoint, Faults()) as line:
        use_s3(monkeypatch, line.url)
        yield line


def worsen(proxy: FaultyProxy, **shares: float) -> None:
    for name, share in shares.items():
        setattr(proxy.faults, name, share)


def test_a_synthesis_over_a_bad_line_ends_right_and_buys_nothing_twice(
    proxy: FaultyProxy,
) -> None:
    with serving() as api:
        run = synthesis("s3://lake/line", api.base_url, max_attempts=1000)
        worsen(proxy, **LINE)
        for _ in range(20):
            try:
                manifest = drive(run, SynthesizeStage())
                break
            except (StorageError, PartiallyFailed):
                continue
        worsen(proxy, **dict.fromkeys(LINE, 0.0))
        sent = {canonical(body) for body in api.requests}
        repeated = len(api.requests) - len(sent)
    assert manifest.accounting.rows_out == SEEDS
    assert verify_version(run.lake, manifest) == []
    assert len(sent) == SEEDS * 7
    # An answer whose journal write fails for good is lost with the shard's attempt, none else.
    assert repeated <= SEEDS
    assert all(proxy.faults.met[fault] for fault in LINE), proxy.faults.met


def test_a_large_file_arrives_whole_and_leaves_no_parts(proxy: FaultyProxy, tmp_path: Path) -> None:
    local = tmp_path / "big.bin"
    local.write_bytes(os.urandom(1 << 20) * 40)
    worsen(proxy, **LINE)
    storage = Storage("s3://lake/cut-parts", part_bytes=5 << 20)
    for number in range(6):
        for _ in range(20):
            try:
                storage.upload(local, f"{number}.bin")
                break
            except StorageError:
                continue
        assert storage.read_bytes(f"{number}.bin") == local.read_bytes()
    worsen(proxy, **dict.fromkeys(LINE, 0.0))
    lake = Lake("s3://lake/cut-parts")
    later = datetime.now(UTC) + timedelta(minutes=1)
    gc.remove(lake, gc.collect(lake, timedelta(0), later))
    assert storage.uploads() == []


def test_what_was_written_is_listed_at_once(proxy: FaultyProxy) -> None:
    storage = Storage("s3://lake/listed")
    for number in range(50):
        storage.write_bytes(f"a/{number:02d}", b"x")
        assert storage.list("a") == [f"a/{n:02d}" for n in range(number + 1)]


def test_expired_credentials_are_one_clear_line_and_lose_nothing(proxy: FaultyProxy) -> None:
    run = begin_run(minimal_recipe("s3://lake/expired"))
    stage = SeedStage()
    worsen(proxy, expired=True)
    with pytest.raises(StorageError, match=r"s3://lake/expired/.*[Ee]xpired.*renew") as failure:
        drive(run, stage)
    assert failure.value.exit_code == 1
    assert "\n" not in str(failure.value)
    worsen(proxy, expired=False)
    assert drive(run, stage).accounting.rows_out == 3


def test_requests_are_counted_as_the_store_sees_them(proxy: FaultyProxy) -> None:
    run = begin_run(minimal_recipe("s3://lake/counted"))
    storage = run.lake.storage
    before = sum(proxy.faults.met.values())
    with counted(storage, run.name, "seeds"):
        drive(run, SeedStage())
        seen = sum(proxy.faults.met.values()) - before
    counts = requests_of(storage, run.name)["seeds"]
    assert counts.total() == seen
    assert {"PutObject", "GetObject", "ListObjectsV2"} <= counts.keys()
