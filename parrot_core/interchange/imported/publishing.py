"""Publishes a user's files and models as versions: rows checked, rejects counted, origin kept."""

import hashlib
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parrot_core.errors import ParrotError, SourceError, UserError
from parrot_core.interchange.imported.rows import READERS, Origin
from parrot_core.lake.lake import Kind, Lake, version_folder
from parrot_core.lake.manifest import Accounting, FileEntry, Fingerprint, Manifest
from parrot_core.lake.run_records import utc_now
from parrot_core.lake.shard_writer import ParquetFiles, upload_verified
from parrot_core.models.references import fetch_model
from parrot_core.recipe import SLUG, Ingest
from parrot_core.schemas import DATASETS, REJECTS
from parrot_core.stages.ingest.clean import Rejection
from parrot_core.stages.ingest.language import FastTextDetector
from parrot_core.stages.ingest.locating import SourceFile, source_files
from parrot_core.stages.ingest.sources import (
    OpenSource,
    SourceRecord,
    UnreadableMember,
    open_documents,
)
from parrot_core.stages.registry import STAGES
from parrot_core.telemetry.progress import SILENT, ProgressReporter
from parrot_core.text.wording import did_you_mean
from parrot_core.version import __version__

STAGE = "import"
ROWS_PER_FILE = 50_000
MODELS = tuple(stage.output for stage in STAGES if stage.kind == "model")


def import_files(
    lake: Lake,
    files: Sequence[str],
    dataset: str,
    version: str,
    reporter: ProgressReporter = SILENT,
) -> Manifest:
    """Publish the records of some files as a version of a dataset.

    Args:
        files: paths, folders, patterns or URLs, as ``ingest.sources`` takes them.
        dataset: one of ``READERS``.

    Raises:
        UserError: no such dataset, or the version is there.
        SourceError: a file is missing or in no known layout.
        ParrotError: not one record could be taken.
    """
    _check(lake, "dataset", dataset, version, tuple(READERS))
    started, began = utc_now(), time.monotonic()
    folder = version_folder("dataset", dataset, version)
    stem = uuid.uuid4().hex[:12]
    with ExitStack() as stack:
        out, rejects = (
            stack.enter_context(
                ParquetFiles(lake.storage, folder, f"{kind}/00000-{stem}", schema, ROWS_PER_FILE)
            )
            for kind, schema in (("shards", DATASETS[dataset].arrow), ("rejects", REJECTS))
        )
        intake = _ImportIntake(dataset, out, rejects, reporter)
        for file in source_files(Ingest(sources=tuple(files))):
            intake.take(file)
        if not out.rows:
            why = ", ".join(f"{n} {reason}" for reason, n in intake.rejected.most_common())
            first = f"; the first: {intake.first}" if intake.first else ""
            raise ParrotError(
                f"{', '.join(files)}: none of {intake.records} records can be taken as {dataset} "
                f"({why or 'there are none'}){first}"
            )
        written, refused = out.finish(), rejects.finish()
    return _publish(
        lake,
        _ImportedVersion("dataset", dataset, version, started, time.monotonic() - began),
        written,
        refused,
        intake,
        {"as": dataset, "files": intake.files},
    )


def import_model(lake: Lake, ref: str, name: str, version: str) -> Manifest:
    """Publish a model as a version: a folder in Hugging Face's layout, a hub's id, a GGUF file.

    Raises:
        UserError: no such model, or the version is there.
        SourceError: it isn't there, or is no model.
    """
    _check(lake, "model", name, version, MODELS)
    started, began = utc_now(), time.monotonic()
    place = fetch_model(ref)
    if not (place / "config.json").is_file():
        raise SourceError(f"{ref}: holds no config.json; expected a model in Hugging Face's layout")
    folder, attempt = version_folder("model", name, version), uuid.uuid4().hex[:12]
    found = sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file())
    entries = tuple(
        upload_verified(lake.storage, place / path, folder, f"{attempt}/{path.as_posix()}")
        for path in found
        if not any(part.startswith(".") for part in path.parts)
    )
    made = _ImportedVersion("model", name, version, started, time.monotonic() - began)
    return _publish(lake, made, entries, (), None, {"as": name, "model": ref})


@dataclass(frozen=True, slots=True)
class _ImportedVersion:
    kind: Kind
    name: str
    version: str
    created_at: str
    seconds: float


def _publish(
    lake: Lake,
    made: _ImportedVersion,
    files: tuple[FileEntry, ...],
    reject_files: tuple[FileEntry, ...],
    intake: "_ImportIntake | None",
    origin: dict[str, Any],
) -> Manifest:
    accounting = Accounting(unit="model")
    metrics: dict[str, Any] = {"base": origin.get("model")}
    warnings: tuple[str, ...] = ()
    if intake is not None:
        accounting, metrics, warnings = intake.accounting(), intake.metrics(), intake.warnings
    accounting.close(f"import of {made.name}")
    text = json.dumps({STAGE: origin}, sort_keys=True)
    schema = DATASETS.get(made.name)
    manifest = Manifest(
        kind=made.kind,
        name=made.name,
        version=made.version,
        schema_version=schema.version if schema else None,
        commit_id=uuid.uuid4().hex,
        created_at=made.created_at,
        stage=STAGE,
        run=made.version,
        inputs={},
        recipe={STAGE: origin},
        fingerprint=Fingerprint(recipe=hashlib.sha256(text.encode()).hexdigest(), code=__version__),
        files=files,
        reject_files=reject_files,
        accounting=accounting,
        seconds=round(made.seconds, 3),
        metrics=metrics,
        warnings=warnings,
    )
    lake.publish(manifest)
    return manifest


def _check(lake: Lake, kind: Kind, name: str, version: str, known: Sequence[str]) -> None:
    if name not in known:
        every = (*READERS, *MODELS)
        hint = did_you_mean(name, every)
        raise UserError(f"--as {name}: expected one of {', '.join(every)}{hint}")
    if not re.fullmatch(SLUG, version):
        raise UserError(f"--name {version}: expected letters, digits, dots, dashes, underscores")
    if lake.published(kind, name, version):
        raise UserError(f"{name}@{version} is published; give this one another --name")


@dataclass(slots=True)
class _ImportIntake:
    """Rows and rejects of some files, and what is counted."""

    dataset: str
    out: ParquetFiles
    rejects: ParquetFiles
    reporter: ProgressReporter
    records: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    layouts: Counter[str] = field(default_factory=Counter)
    files: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    first: str = ""
    _seen: set[str] = field(default_factory=set)
    _detector: FastTextDetector = field(default_factory=FastTextDetector)

    def take(self, file: SourceFile) -> None:
        _, layout, _ = READERS[self.dataset]
        start = self.records
        for document in open_documents(file.url, file.layout or layout):
            if isinstance(document, UnreadableMember):
                self.warnings += (f"{file.url}!{document.member}: {document.why}",)
                continue
            with document as source:
                self.reporter.step(f"{self.dataset}: {source.url}", source.records_expected() or 0)
                before = self.records
                for record in source:
                    self._one(file, source, record)
                    self.reporter.progress(1)
            self.layouts[source.layout.name] += self.records - before
            self.warnings += tuple(source.warnings)
        self.files.append({"url": file.url, "records": self.records - start, **_digest(file.url)})

    def _one(self, file: SourceFile, source: OpenSource, record: SourceRecord) -> None:
        self.records += 1
        own = None if record.problem else source.layout.record_id(record.record)
        prefix = "/".join(filter(None, (file.prefix or file.source, source.member)))
        id = f"{prefix}:{own or f'#{record.index}'}"
        while id in self._seen:
            id += f"#{record.index}"
        self._seen.add(id)
        origin = Origin(
            id, file.source, f"{source.url}#{record.index}", record.index, source.layout
        )
        read, _, _ = READERS[self.dataset]
        row: dict[str, Any] | Rejection
        if record.problem:
            row = Rejection("malformed_record", record.problem)
        else:
            row = read(record.record, origin, self._detector)
        if isinstance(row, Rejection):
            self._reject(origin, row, record.record)
        else:
            self.out.append(row)

    def _reject(self, origin: Origin, why: Rejection, original: object) -> None:
        self.rejected[why.reason] += 1
        self.first = self.first or f"{origin.source_id}: {why.reason} {why.detail}".strip()
        self.rejects.append(
            {
                "id": origin.id,
                "source_ids": [origin.source_id],
                "reason": why.reason,
                "detail": why.detail,
                "original": json.dumps(original, ensure_ascii=True, default=str),
            }
        )

    def accounting(self) -> Accounting:
        return Accounting(
            unit=READERS[self.dataset][2],
            source_rows=self.records,
            rows_in=self.records,
            rows_out=self.out.rows,
            rejected=dict(sorted(self.rejected.items())),
        )

    def metrics(self) -> dict[str, Any]:
        return {"records": self.records, "layouts": dict(self.layouts), "files": self.files}


def _digest(url: str) -> dict[str, Any]:
    """Size and checksum of a local file, so that it can be told later whether it is the same."""
    path = Path(url)
    if not path.is_file():
        return {}
    with path.open("rb") as opened:
        return {
            "bytes": path.stat().st_size,
            "sha256": hashlib.file_digest(opened, "sha256").hexdigest(),
        }
