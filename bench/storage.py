"""How fast a lake on S3 is beside one on the local disk, and what requests its shards take.

    PYTHONPATH=. python bench/storage.py [--shards 32] [--megabytes 2]

Starts the S3 server that the tests use, writes and reads the same shards in both, one after
another and 8 at once, and prints MB/s, the ratio and the requests a shard.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import s3fs

from parrot_core.execution.runs import begin_run
from parrot_core.lake.requests import bill
from parrot_core.lake.storage import Storage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, drive
from tests.support.servers.s3_server import KEY, SECRET, s3_server

AT_ONCE = 8
PER_1000_WRITES, PER_1000_READS = 0.005, 0.0004  # S3 Standard, us-east-1, dollars


def seconds_for(work: Callable[[str], object], paths: Sequence[str], at_once: int) -> float:
    """Wall-clock seconds to do something to all paths, so many at once."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(work, paths))
    return time.perf_counter() - begun


def throughput(url: str, shards: int, data: bytes) -> dict[str, float]:
    """MB/s of writing and reading shards."""
    storage = Storage(url)
    storage.write_bytes("warm", b"x")
    megabytes = shards * len(data) / 1e6
    found = {}
    for at_once in (1, AT_ONCE):
        paths = [f"bench/{at_once}/{number:05d}.parquet" for number in range(shards)]
        write = seconds_for(lambda path: storage.write_bytes(path, data), paths, at_once)
        read = seconds_for(storage.read_bytes, paths, at_once)
        found[f"write, {at_once} at once"] = megabytes / write
        found[f"read, {at_once} at once"] = megabytes / read
    return found


def requests_a_shard(url: str, shards: int) -> None:
    """Print the requests of a whole small stage: plan, shards, publication."""
    run = begin_run(minimal_recipe(f"{url}/stage"))
    before = run.lake.storage.requests()
    begun = time.perf_counter()
    drive(run, SeedStage(shards))
    took = time.perf_counter() - begun
    made = {
        name: count - before.get(name, 0) for name, count in run.lake.storage.requests().items()
    }
    made = {name: count for name, count in made.items() if count}
    usd = bill(made, PER_1000_WRITES, PER_1000_READS)
    each = ", ".join(f"{name} {count / shards:.1f}" for name, count in sorted(made.items()))
    per_shard = sum(made.values()) / shards
    print(f"stage of {shards} shards in {took:.1f} s; requests a shard: {each}")
    print(f"  {per_shard:.1f} requests, ${usd / shards * 1000:.4f} per 1,000 shards")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=32)
    parser.add_argument("--megabytes", type=float, default=2.0)
    asked = parser.parse_args()
    data = os.urandom(int(asked.megabytes * 1e6))
    with tempfile.TemporaryDirectory() as scratch, s3_server(Path(scratch)) as endpoint:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        s3fs.S3FileSystem.clear_instance_cache()
        local = throughput(f"{scratch}/lake", asked.shards, data)
        remote = throughput("s3://lake/bench", asked.shards, data)
        for what, speed in local.items():
            there = remote[what]
            print(f"{what}: disk {speed:.0f} MB/s, S3 {there:.0f} MB/s, {there / speed:.2f} times")
        requests_a_shard("s3://lake/bench", asked.shards)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak RSS {peak:.0f} MiB; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
