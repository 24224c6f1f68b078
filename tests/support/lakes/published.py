"""Published versions with rows that tests decide, in files and row groups of few rows."""

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from parrot_core.lake.lake import Lake, version_folder
from parrot_core.lake.manifest import Accounting, FileEntry, Fingerprint, Manifest
from parrot_core.schemas import DATASETS

Row = dict[str, Any]


def dialogue(id: str, texts: Sequence[str], **columns: Any) -> Row:
    """A conversation of alternating messages."""
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
    row = {"id": id, "source_ids": [id], "language": "en", "messages": messages}
    return {**row, "n_turns": len(texts) // 2, "end_reason": "max_turns", **columns}


def publish(
    lake: Lake,
    name: str,
    rows: Sequence[Row],
    *,
    version: str = "demo",
    inputs: dict[str, str] | None = None,
    per_file: int = 4,
    per_group: int = 2,
) -> Manifest:
    """Publish rows as a version."""
    entries = []
    schema = DATASETS[name].arrow
    for number, start in enumerate(range(0, len(rows), per_file)):
        part = list(rows[start : start + per_file])
        sink = io.BytesIO()
        table = pa.Table.from_pylist(part, schema=schema)
        pq.write_table(table, sink, row_group_size=per_group)
        data, path = sink.getvalue(), f"shards/{number:05d}-0123456789ab-0.parquet"
        lake.storage.write_bytes(f"{version_folder('dataset', name, version)}/{path}", data)
        digest = hashlib.sha256(data).hexdigest()
        entries.append(FileEntry(path=path, rows=len(part), bytes=len(data), sha256=digest))
    manifest = Manifest(
        kind="dataset",
        name=name,
        version=version,
        schema_version=DATASETS[name].version,
        commit_id=f"{name}-{version}",
        created_at="2026-11-22T12:00:00+00:00",
        stage="none",
        run=version,
        inputs=inputs or {},
        recipe={},
        fingerprint=Fingerprint(recipe="", code=""),
        files=tuple(entries),
        accounting=Accounting(unit="session", rows_in=len(rows), rows_out=len(rows)),
        seconds=1.0,
    )
    lake.publish(manifest)
    return manifest
