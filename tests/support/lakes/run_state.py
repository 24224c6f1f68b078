"""Parts of a run's state in a lake, through the product's records, for tests of what reads runs."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from parrot_core.lake.attempts import AttemptFailure, ShardProgress
from parrot_core.lake.lake import Lake, version_folder
from parrot_core.lake.manifest import (
    Accounting,
    FileEntry,
    Fingerprint,
    Manifest,
    Receipt,
)
from parrot_core.lake.run_records import RunRecord, StageRecords, run_file
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.lake.shard_writer import ParquetFiles
from parrot_core.lake.stage_plan import ShardPlan, Slice, StagePlan
from parrot_core.monitor import StageSpec
from parrot_core.schemas import DATASETS, REJECTS
from parrot_core.stages.registry import STAGE_SPECS
from parrot_core.stages.registry import STAGES as ALL_STAGES

Row = dict[str, Any]

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RUN = "demo"
ASKER = "lake:parrot-ask@demo"
ANSWERER = "SmolLM2-135M-Instruct"

STAGES = tuple(
    StageSpec(name, output, "model" if name.startswith("train") else "dataset")
    for name, output in (
        ("ingest", "conversations"),
        ("train-ask", "parrot-ask"),
        ("seeds", "seeds"),
        ("synthesize", "dialogues"),
        ("filter", "parrot"),
        ("train-sft", "parrot-sft"),
        ("select", "context-queries"),
        ("capo", "preferences"),
        ("train-dpo", "parrot-chat"),
        ("evaluate", "judgments"),
    )
)

METRICS = {stage.name: stage.metrics for stage in ALL_STAGES}

RECIPE: dict[str, Any] = {
    "name": "demo",
    "description": "A small run on real ShareGPT sessions.",
    "seed": 42,
    "engines": {
        "asker": {"kind": "vllm", "model": "lake:parrot-ask"},
        "answerer": {"kind": "vllm", "model": ANSWERER},
        "judge": {"kind": "vllm", "model": ANSWERER},
        "chat": {"kind": "vllm", "model": "lake:parrot-chat"},
    },
    "evaluate": {"judge": "judge", "subjects": {"base": "answerer", "Parrot-Chat": "chat"}},
}


def ago(seconds: float) -> str:
    """The time so many seconds before NOW, as the lake writes it."""
    return (NOW - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def begin(lake: Lake, run: str = RUN, recipe: Mapping[str, Any] = RECIPE, **values: Any) -> None:
    """Write ``run.json``."""
    base = {
        "name": run,
        "id": run,
        "recipe": recipe,
        "fingerprint": "5f2c9a7be3d10486" * 4,
        "created_at": ago(900),
        "code_version": "0.1.0",
    }
    record = RunRecord.model_validate(base | values)
    lake.storage.write_bytes(run_file(run), record.to_bytes())


def plan(
    lake: Lake, stage: str, rows: Sequence[int], run: str = RUN, created_at: str | None = None
) -> None:
    """Write a plan with one shard for each number of input rows."""
    spec = next(item for item in (*STAGES, *STAGE_SPECS) if item.name == stage)
    StageRecords(lake.storage, run, stage).put_plan(
        StagePlan(
            stage=stage,
            output=spec.output,
            kind=spec.kind,
            unit="session",
            inputs={"x": run},
            shards=tuple(ShardPlan(i, (Slice("x", run, 0, 0, n),)) for i, n in enumerate(rows)),
            created_at=created_at or ago(880),
        )
    )


def progress(lake: Lake, stage: str, shard: int, run: str = RUN, **values: Any) -> None:
    """Write a shard's progress."""
    given = {"worker": "w1", "attempt": "a1", "epoch": 1, "started_at": ago(600)} | values
    found = ShardProgress.model_validate({"updated_at": given["started_at"], **given})
    ShardRecords(lake.storage, run, stage, shard).write_progress(found)


def failure(lake: Lake, stage: str, shard: int, attempt: int, run: str = RUN, **v: Any) -> None:
    """Write a failed attempt, the next one of the shard."""
    base = {"error_type": "EngineDied", "traceback": "…", "worker": "w1", "ended_at": ago(500)}
    found = AttemptFailure.model_validate({**base, "message": "the engine is gone", **v})
    records = ShardRecords(lake.storage, run, stage, shard)
    records.record_failure(found)
    assert len(records.failures()) == attempt


def receipt(
    lake: Lake, stage: str, shard: int, rows_in: int, rejected: dict[str, int], **values: Any
) -> None:
    """Write a shard's receipt; its accounts close."""
    rows_out = rows_in - sum(rejected.values())
    base = {
        "shard": shard,
        "attempt": "a1",
        "epoch": 1,
        "worker": "w1",
        "accounting": Accounting(
            unit="session", rows_in=rows_in, rows_out=rows_out, rejected=rejected
        ),
        "started_at": ago(600),
        "ended_at": ago(500),
    }
    found = Receipt.model_validate(base | values)
    ShardRecords(lake.storage, RUN, stage, shard).file_receipt(found)


def publish(
    lake: Lake,
    stage: str,
    rows: Sequence[Row] = (),
    rejects: Sequence[Row] = (),
    *,
    unit: str = "session",
    source_rows: int | None = None,
    run: str = RUN,
    spec: StageSpec | None = None,
    **values: Any,
) -> None:
    """Publish a version with these rows, through the real lake."""
    spec = spec or next(item for item in (*STAGES, *STAGE_SPECS) if item.name == stage)
    folder = version_folder(spec.kind, spec.output, run)
    files: tuple[FileEntry, ...] = ()
    reject_files: tuple[FileEntry, ...] = ()
    if spec.kind == "dataset":
        files = _written(lake, folder, "shards", rows, DATASETS[spec.output].arrow)
        if rejects:
            reject_files = _written(lake, folder, "rejects", rejects, REJECTS)
    reasons: dict[str, int] = {}
    for row in rejects:
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
    rows_in = len(rows) + len(rejects)
    values["metrics"] = METRICS[stage].model_validate(values.get("metrics", {})).to_json()
    manifest = {
        "kind": spec.kind,
        "name": spec.output,
        "version": run,
        "schema_version": 1 if spec.kind == "dataset" else None,
        "commit_id": uuid.uuid4().hex,
        "created_at": ago(30),
        "stage": stage,
        "run": run,
        "inputs": {},
        "recipe": RECIPE,
        "fingerprint": Fingerprint(recipe="r", code="c"),
        "files": files,
        "reject_files": reject_files,
        "accounting": Accounting(
            unit=unit,
            source_rows=rows_in if source_rows is None else source_rows,
            rows_in=rows_in,
            rows_out=len(rows),
            rejected=reasons,
        ),
        "seconds": 12.0,
    }
    lake.publish(Manifest.model_validate(manifest | values))


def _written(
    lake: Lake, folder: str, kind: str, rows: Sequence[Row], schema: pa.Schema
) -> tuple[FileEntry, ...]:
    stem = f"{kind}/00000-0123456789ab"
    with ParquetFiles(lake.storage, folder, stem, schema, 50_000) as files:
        for row in rows:
            files.append(row)
        return files.finish()


def reject(id: str, reason: str, original: object, detail: str = "") -> Row:
    """A reject row."""
    text = json.dumps(original, ensure_ascii=False)
    return {"id": id, "source_ids": [], "reason": reason, "detail": detail, "original": text}


def messages(*turns: str) -> list[Row]:
    """User and assistant in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]


def dialogue(id: str, source: str, *turns: str) -> Row:
    """A row of ``dialogues`` or ``parrot``; the opening query is a human's."""
    authors: list[Row] = [{"engine": None, "model": None, "finish_reason": None}]
    for position in range(1, len(turns)):
        engine = ("asker", ASKER) if position % 2 == 0 else ("answerer", ANSWERER)
        authors.append({"engine": engine[0], "model": engine[1], "finish_reason": "stop"})
    return {
        "id": id,
        "source_ids": [source],
        "language": "en",
        "messages": messages(*turns),
        "provenance": authors,
        "n_turns": (len(turns) + 1) // 2,
        "end_reason": "max_turns",
    }
