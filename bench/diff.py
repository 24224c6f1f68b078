"""Telling two large versions apart: time and memory, beside a join in memory and bare reading.

Usage: python bench/diff.py [--rows 200000] [--folder DIR] [--json]
Two versions of ``dialogues``, about 2 kB a row, in which one row in a hundred changed, was removed
or was added. Each contender runs in a process of its own.
"""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from parrot_core.lake.lake import DatasetVersion, Lake, version_folder
from parrot_core.lake.manifest import Accounting, FileEntry, Fingerprint, Manifest
from parrot_core.schemas import DATASETS

ROWS_PER_FILE = 20_000
ROWS_PER_GROUP = 1_000
VERSIONS = ("before", "after")


def make(lake: Lake, rows: int) -> None:
    """Publish both versions."""
    words = [f"word{n}" for n in range(5_000)]
    for version in VERSIONS:
        chance = random.Random(7)
        folder = version_folder("dataset", "dialogues", version)
        files = []
        for start in range(0, rows, ROWS_PER_FILE):
            group = range(start, min(rows, start + ROWS_PER_FILE))
            table = pa.Table.from_pylist(
                [_row(number, version, chance, words) for number in group],
                schema=DATASETS["dialogues"].arrow,
            )
            path = f"shards/{start:08d}.parquet"
            local = Path(lake.storage.full(f"{folder}/{path}"))
            local.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, local, compression="zstd", row_group_size=ROWS_PER_GROUP)
            digest = hashlib.sha256(local.read_bytes()).hexdigest()
            size = local.stat().st_size
            files.append(FileEntry(path=path, rows=len(group), bytes=size, sha256=digest))
        lake.publish(_manifest(version, rows, tuple(files)))


def _row(number: int, version: str, chance: random.Random, words: list[str]) -> dict[str, object]:
    texts = [" ".join(chance.choices(words, k=40)) for _ in range(8)]
    kind = number % 100
    if version == "after" and kind == 0:
        texts[-1] += " changed"
    id = f"d{number}" if kind != 1 else f"d{number}-{version}"
    roles = ("user", "assistant")
    return {
        "id": id,
        "source_ids": [f"s{number}"],
        "language": "en",
        "messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)],
        "provenance": [
            {"engine": "e", "model": "m", "request_key": f"{number}-{i}"} for i in range(8)
        ],
        "n_turns": 4,
        "end_reason": "max_turns",
    }


def _manifest(version: str, rows: int, files: tuple[FileEntry, ...]) -> Manifest:
    return Manifest(
        kind="dataset",
        name="dialogues",
        version=version,
        schema_version=1,
        commit_id=version,
        created_at="2026-01-01T00:00:00.000+00:00",
        stage="synthesize",
        run=version,
        inputs={},
        recipe={},
        fingerprint=Fingerprint(recipe="", code=""),
        files=files,
        accounting=Accounting(unit="session", source_rows=rows, rows_in=rows, rows_out=rows),
        seconds=0.0,
    )


def diff(lake: Lake) -> str:
    """Parrot's own: rows by id and column, then distributions, as ``parrot diff`` does it."""
    from parrot_core.analysis.comparison.distributions import distributions
    from parrot_core.analysis.comparison.rows import compare_rows

    sides = [lake.dataset("dialogues", version) for version in VERSIONS]
    found = compare_rows(*sides)
    for side in sides:
        distributions(side)
    return f"{found.changed} changed, {found.added} added, {found.removed} removed"


def join(lake: Lake) -> str:
    """What one would write by hand: both frames in memory, joined by id and compared."""
    import polars as pl

    a, b = (_frame(lake.dataset("dialogues", version)) for version in VERSIONS)
    both = a.join(b, on="id", suffix=":b")
    columns = [name for name in a.columns if name != "id"]
    changed = both.filter(
        pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}:b")) for name in columns)
    ).height
    added, removed = b.join(a, on="id", how="anti").height, a.join(b, on="id", how="anti").height
    return f"{changed} changed, {added} added, {removed} removed"


def _frame(version: DatasetVersion) -> "pl.DataFrame":  # type: ignore[name-defined] # noqa: F821
    return version.frame()


def reading(lake: Lake) -> str:
    """The limit: checksums, and every row group decoded once and let go."""
    rows = 0
    for version in VERSIONS:
        rows += sum(table.num_rows for table in lake.dataset("dialogues", version).groups())
    return f"{rows} rows"


CONTENDERS: dict[str, Callable[[Lake], str]] = {"diff": diff, "join": join, "reading": reading}


def measure(name: str, folder: Path) -> dict[str, object]:
    """Run one contender in a process of its own."""
    command = [sys.executable, __file__, "--contender", name, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def contend(name: str, folder: Path) -> None:
    """Be the contender's process; its peak is read where the parent's isn't counted."""
    began = time.perf_counter()
    said = CONTENDERS[name](Lake(str(folder)))
    took = time.perf_counter() - began
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    print(json.dumps({"name": name, "seconds": took, "rss_mb": peak, "said": said}))


def main() -> None:
    """Make the versions if need be, run all contenders, print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--contender", choices=CONTENDERS)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    if told.contender:
        contend(told.contender, told.folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = told.folder or Path(scratch)
        lake = Lake(str(folder))
        if not lake.published("dataset", "dialogues", VERSIONS[1]):
            make(lake, told.rows)
        size = sum(f.bytes for v in VERSIONS for f in lake.dataset("dialogues", v).manifest.files)
        found = [measure(name, folder) for name in CONTENDERS]
    if told.json:
        print(json.dumps({"bytes": size, "rows": told.rows, "contenders": found}))
        return
    least = float(str(found[-1]["seconds"]))
    print(f"two versions of {told.rows:,} rows, {size / 1e6:,.0f} MB of Parquet")
    for each in found:
        seconds = float(str(each["seconds"]))
        print(
            f"{each['name']:>8}: {seconds:6.1f} s, {seconds / least:4.1f} × reading, "
            f"peak {each['rss_mb']:,.0f} MB; {each['said']}"
        )


if __name__ == "__main__":
    main()
