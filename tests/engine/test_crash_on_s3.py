"""The same as ``test_crash_anywhere``, on a real S3 server."""

import os
import random
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import s3fs

from parrot_core.lake import gc
from parrot_core.lake.lake import Lake
from tests.support.lakes.crash_checks import (
    check_finished,
    kill_at_random,
    seeded,
    slow_echo,
    uninterrupted,
)
from tests.support.lakes.crash_driver import Drive, finish
from tests.support.lakes.toy_stages import SEEDS
from tests.support.servers.fake_api import FakeApi, serving
from tests.support.servers.s3_server import use_s3

pytestmark = pytest.mark.engine

KILLS = 6
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")


@pytest.fixture
def api(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    use_s3(monkeypatch, endpoint)
    monkeypatch.setenv("PARROT_WORK", str(tmp_path / "work"))
    with serving() as running:
        yield running


def drive(lake: str, kill_at_write: int = 0) -> Drive:
    environment = {name: os.environ[name] for name in KEYS}
    return Drive(lake, kill_at_write, journal_spacing_s=0.1, environment=environment)


def test_killed_at_many_random_points_nothing_is_lost_and_nothing_bought_twice(
    api: FakeApi,
) -> None:
    seeded("s3://lake/whole", api, sessions_per_shard=4, turns=4)
    expected = uninterrupted(drive("s3://lake/whole"), api)
    all_kills = 0
    for seed in range(20):
        rng = random.Random(seed)
        lake = f"s3://lake/killed{seed}"
        api.requests.clear()
        api.behaviour = slow_echo(seed)
        seeded(lake, api, sessions_per_shard=4, turns=4)
        kills = sum(kill_at_random(drive(lake), api, rng) == -signal.SIGKILL for _ in range(3))
        assert finish(drive(lake)) == 0
        check_finished(lake, api, expected, kills, SEEDS)
        all_kills += kills
        if all_kills >= KILLS:
            return
    pytest.fail(f"only {all_kills} of {KILLS} processes were killed before they were done")


def test_killed_between_two_writes_nothing_is_lost_and_nothing_bought_twice(api: FakeApi) -> None:
    lake = "s3://lake/steps"
    seeded("s3://lake/whole-steps", api, sessions_per_shard=6, turns=2)
    expected = uninterrupted(drive("s3://lake/whole-steps"), api)
    seeded(lake, api, sessions_per_shard=6, turns=2)
    kills = 0
    for step in range(3, 200, 4):
        if finish(drive(lake, step)) == 0:
            break
        kills += 1
    assert kills >= 2
    check_finished(lake, api, expected, kills, SEEDS)


def test_an_upload_in_parts_that_was_killed_is_found_and_aborted(api: FakeApi) -> None:
    lake = Lake("s3://lake/parts")
    s3 = s3fs.S3FileSystem()
    place = {"Bucket": "lake", "Key": "parts/models/parrot-ask/test/aaaaaaaaaaaa/big.bin"}
    begun = s3.call_s3("create_multipart_upload", **place)
    s3.call_s3(
        "upload_part", **place, UploadId=begun["UploadId"], PartNumber=1, Body=b"x" * (5 << 20)
    )
    now = datetime.now(UTC)
    assert gc.collect(lake, timedelta(hours=1), now).garbage == ()
    [found] = gc.collect(lake, timedelta(hours=1), now + timedelta(hours=2)).garbage
    assert (found.path, found.why) == (place["Key"].removeprefix("parts/"), gc.WHY_UPLOAD)
    gc.remove(lake, gc.Collection((found, found), ()))
    assert lake.storage.uploads() == []
