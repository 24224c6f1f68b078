"""Find and remove what no published version and no resumed run needs.

Nothing here depends on clocks alone: a file of an attempt is garbage when that attempt can't be
committed any more, because its shard is, or because a higher claim or a release has ended its
lease (see ``lake/leases.py``). What a lease that nobody has ended may still commit is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from parrot_core.lake.checkpoints import RECORD
from parrot_core.lake.lake import Kind, Lake, version_folder
from parrot_core.lake.leases import Claim, read_claim
from parrot_core.lake.run_records import SPENT, StageRecords
from parrot_core.lake.shard_writer import attempt_of
from parrot_core.lake.storage import StoredFile, Upload

AT_ONCE = 256
"""Files that are handed to storage together for removal."""

PREVIEWS_KEPT = timedelta(days=30)
"""A run of the recipe may still want what its preview bought."""

WHY_LOST = "left by an attempt that did not win"
WHY_JOURNAL = "journal of a committed shard"
WHY_CHECKPOINT = "checkpoint of a finished training"
WHY_TEMPORARY = "write that was never finished"
WHY_UPLOAD = "upload in parts that was never finished"
WHY_WORKER = "record of a worker that has ended"
WHY_PREVIEW = "bought by a preview, and its stage is published or a month has passed"
WHY_NO_RUN = "belongs to no run and no published version"


@dataclass(frozen=True, slots=True)
class Garbage:
    """One thing to remove."""

    path: str
    bytes: int
    why: str
    upload: Upload | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """What is to be removed, and the runs that were left alone."""

    garbage: tuple[Garbage, ...]
    live_runs: tuple[str, ...]

    @property
    def bytes(self) -> int:
        return sum(item.bytes for item in self.garbage)


@dataclass
class _Run:
    """What the lake holds of one run, or of one version name that no run explains."""

    files: list[StoredFile] = field(default_factory=list)  # records and data
    claims: list[StoredFile] = field(default_factory=list)
    begun: bool = False


def collect(lake: Lake, grace: timedelta, now: datetime) -> Collection:
    """Find garbage; nothing is removed.

    A run in which something was written within ``grace``, or in which a worker holds a lease
    that it has renewed in time, is live and left alone altogether.

    Raises:
        StorageError: a manifest can't be read; nothing may be judged without it.
    """
    storage = lake.storage
    data = [*storage.files("datasets"), *storage.files("models")]
    runs = _by_run(
        [*data, *storage.files("runs"), *storage.files("previews")]
    )  # data first: see _Judge
    live = {name for name, run in runs.items() if _is_live(lake, run, grace, now)}
    garbage: list[Garbage] = []
    for name, run in sorted(runs.items()):
        if name not in live:
            garbage += _Judge(lake, name, run, now - grace).garbage()
    garbage += [
        Garbage(upload.path, 0, WHY_UPLOAD, upload)
        for upload in storage.uploads()
        if upload.begun <= now - grace and _owner(upload.path) not in live
    ]
    return Collection(tuple(garbage), tuple(sorted(live)))


def remove(
    lake: Lake, collection: Collection, progress: Callable[[int], None] = lambda _: None
) -> None:
    """Remove what ``collect`` found; what is gone already is no error."""
    items = collection.garbage
    for start in range(0, len(items), AT_ONCE):
        batch = items[start : start + AT_ONCE]
        lake.storage.delete([item.path for item in batch if item.upload is None])
        for item in batch:
            if item.upload is not None:
                lake.storage.abort(item.upload)
            progress(item.bytes)


def _owner(path: str) -> str | None:
    """The run that a file belongs to: a version bears the name of its run."""
    parts = path.split("/")
    if parts[0] in ("runs", "previews") and len(parts) > 2:
        return parts[1]  # a preview bears the name of its recipe, as most runs do
    if parts[0] in ("datasets", "models") and len(parts) > 3:
        return parts[2]
    return None


def _by_run(listed: Sequence[StoredFile]) -> dict[str, _Run]:
    runs: dict[str, _Run] = {}
    for file in listed:
        owner = _owner(file.path)
        if owner is None:
            continue
        run = runs.setdefault(owner, _Run())
        run.files.append(file)
        if file.path == f"runs/{owner}/run.json":
            run.begun = True
        if file.path.startswith("runs/") and "/claims/" in file.path and not file.temporary:
            run.claims.append(file)
    return runs


def _is_live(lake: Lake, run: _Run, grace: timedelta, now: datetime) -> bool:
    if grace and any(file.modified > now - grace for file in run.files):
        return True
    tops = {file.path.rsplit("/", 1)[0]: file for file in run.claims}  # sorted: the last is top
    for file in tops.values():
        claim = read_claim(lake.storage, file.path)
        renewed = now - file.modified < timedelta(seconds=claim.expiry_s)
        if claim.state == "held" and not claim.over and renewed:
            return True
    return False


class _Judge:
    """Judges the files of one run that is not live.

    Data files were listed first, then the run's records, and claims and manifests are read after
    both. An attempt makes its claim before its first file, so that the claim of whoever wrote a
    listed file is read here; one that begins after the listing has no file in it; and one that
    commits meanwhile is found to be committed.
    """

    def __init__(self, lake: Lake, name: str, run: _Run, before: datetime) -> None:
        self._lake = lake
        self._name = name
        self._run = run
        self._before = before
        self._listed = {file.path for file in run.files}
        self._tops: dict[tuple[str, int], Claim | None] = {}

    def garbage(self) -> Iterator[Garbage]:
        wanted = self._attempts_to_keep()
        for file in self._run.files:
            why = self._why(file, wanted)
            if why is not None:
                yield Garbage(file.path, file.bytes, why)

    def _why(self, file: StoredFile, wanted: "_NeededFiles") -> str | None:
        """Why a file may go; None to keep it."""
        parts = file.path.split("/")
        if file.temporary:
            return WHY_TEMPORARY if file.modified <= self._before else None
        if parts[0] == "runs":
            return self._why_record(file, parts)
        if parts[0] == "previews":
            old = file.modified <= self._before - PREVIEWS_KEPT
            return WHY_PREVIEW if old or parts[2] in wanted.stages else None
        folder, below = "/".join(parts[:3]), "/".join(parts[3:])
        attempt = attempt_of(below)
        if attempt is None:
            return None  # the manifest, or something that no attempt of ours wrote
        if folder in wanted.published:
            return None if below in wanted.published[folder] else WHY_LOST
        if not self._run.begun:
            return WHY_NO_RUN
        return None if attempt in wanted.attempts else WHY_LOST

    def _why_record(self, file: StoredFile, parts: list[str]) -> str | None:
        if parts[2] == "workers" and len(parts) == 4:
            return WHY_WORKER if file.modified <= self._before else None
        if len(parts) > 6 and parts[3] == "shards" and parts[5] in SPENT:
            top = self._top(parts[2], int(parts[4]))
            if top is not None and top.state == "committed":
                return WHY_JOURNAL if parts[5] == "journal" else WHY_CHECKPOINT
            if parts[5] == "checkpoints" and self._unfinished(parts):
                return WHY_LOST
        return None

    def _unfinished(self, parts: list[str]) -> bool:
        """Whether a checkpoint has no record and its attempt can't write one any more."""
        top = self._top(parts[2], int(parts[4]))
        over = top is None or top.over or top.attempt != parts[6]
        return over and "/".join((*parts[:8], RECORD)) not in self._listed

    def _attempts_to_keep(self) -> "_NeededFiles":
        wanted = _NeededFiles()
        for folder in {"/".join(f.path.split("/")[:3]) for f in self._run.files}:
            top, name, version = folder.split("/")
            kind: Kind = "dataset" if top == "datasets" else "model"
            if top in ("datasets", "models") and self._lake.published(kind, name, version):
                manifest = self._lake.manifest(kind, name, version)
                named = {e.path for e in (*manifest.files, *manifest.reject_files)}
                wanted.stages.add(manifest.stage)
                wanted.published[version_folder(kind, name, version)] = named
        for path in {file.path.rsplit("/", 1)[0] for file in self._run.claims}:
            _, _, stage, _, shard, _ = path.split("/")
            claim = self._top(stage, int(shard))
            if claim is not None and not claim.over:
                wanted.attempts.add(claim.attempt)
        return wanted

    def _top(self, stage: str, shard: int) -> Claim | None:
        key = (stage, shard)
        if key not in self._tops:
            records = StageRecords(self._lake.storage, self._name, stage)
            self._tops[key] = records.shard(shard).claims.top()
        return self._tops[key]


@dataclass
class _NeededFiles:
    """What must stay."""

    published: dict[str, set[str]] = field(default_factory=dict)  # version folder: named files
    stages: set[str] = field(default_factory=set)  # published
    attempts: set[str] = field(default_factory=set)  # committed, or they may yet be
