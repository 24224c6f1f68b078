"""Models and checkpoints on a real S3 server: in parts, verified, whole or not there at all."""

from pathlib import Path

import pytest

from parrot_core.errors import CorruptFile
from parrot_core.execution.runs import begin_run
from parrot_core.lake.checkpoints import Checkpoints
from parrot_core.lake.lake import Lake
from parrot_core.lake.shard_writer import upload_verified
from parrot_core.lake.storage import Storage
from parrot_core.stages.base import ShardWork
from parrot_core.stages.training.checkpoints import newest, seal
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import ToyModelStage, drive

pytestmark = pytest.mark.engine

PART = 5 << 20
SIZE = 2 * PART + 12_345


def large_file(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.safetensors"
    path.write_bytes(bytes(range(256)) * (SIZE // 256) + b"e" * (SIZE % 256))
    return path


def calls_of(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the S3 requests that the storage makes from here on."""
    made: list[str] = []
    inner = storage._fs._call_s3

    async def call(method: str, *arguments: object, **options: object) -> object:
        made.append(method)
        return await inner(method, *arguments, **options)

    monkeypatch.setattr(storage._fs, "_call_s3", call)
    return made


def test_a_large_file_goes_in_parts_and_is_verified(
    lake_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(lake_url, part_bytes=PART)
    made = calls_of(storage, monkeypatch)
    entry = upload_verified(storage, large_file(tmp_path), "models/m/v", "a/model.safetensors")
    assert made.count("upload_part") == 3
    assert "complete_multipart_upload" in made
    assert "put_object" not in made
    assert entry.bytes == SIZE
    assert storage.sha256("models/m/v/a/model.safetensors") == entry.sha256
    assert storage.uploads() == []


def test_an_upload_that_arrives_changed_is_not_taken_for_the_file(
    lake_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(lake_url, part_bytes=PART)
    inner = storage._fs._call_s3

    async def garble(method: str, *arguments: object, **options: object) -> object:
        if method == "upload_part" and options["PartNumber"] == 2:
            options["Body"] = b"x" * len(options["Body"])  # type: ignore[arg-type]
        return await inner(method, *arguments, **options)

    monkeypatch.setattr(storage._fs, "_call_s3", garble)
    with pytest.raises(CorruptFile, match=r"model\.safetensors: expected SHA-256"):
        upload_verified(storage, large_file(tmp_path), "models/m/v", "a/model.safetensors")


def test_a_damaged_model_is_not_copied_at_all(lake_url: str, tmp_path: Path) -> None:
    run = begin_run(minimal_recipe(lake_url))
    manifest = drive(run, ToyModelStage())
    version = run.lake.model(manifest.name, manifest.version)
    name = max(manifest.files, key=lambda entry: entry.bytes).path
    path = f"models/{manifest.name}/{manifest.version}/{name}"
    good = run.lake.storage.read_bytes(path)
    run.lake.storage.write_bytes(path, b"?" * len(good))
    with pytest.raises(CorruptFile):
        version.local_copy(tmp_path / "cache")
    assert list((tmp_path / "cache").glob("*")) == []
    run.lake.storage.write_bytes(path, good)
    copy = version.local_copy(tmp_path / "cache")
    assert (copy / name.partition("/")[2]).read_bytes() == good
    assert list((tmp_path / "cache").glob("*")) == [copy]


class CheckpointingStage(ToyModelStage):
    """Keeps a checkpoint, as a training does, before it publishes its model."""

    def process(self, work: ShardWork) -> None:
        folder = work.run.work_dir / "checkpoints" / "checkpoint-10"
        large_file(folder)
        work.checkpoints().keep(folder, ["model.safetensors"], 10, "identity")
        self.kept = work.checkpoints().newest("identity")
        super().process(work)


def test_a_checkpoint_goes_to_another_machine_and_is_gone_after_publication(
    lake_url: str, tmp_path: Path
) -> None:
    storage = Storage(lake_url, part_bytes=PART)
    here = large_file(tmp_path / "here").parent
    mine = Checkpoints(storage, "runs/r/train-sft/shards/00000/checkpoints", "a" * 12, lambda: None)
    mine.keep(here, ["model.safetensors"], 10, "identity")
    found = mine.newest("identity")
    assert found is not None
    mine.fetch(found, tmp_path / "there" / "checkpoint-10", seal)
    fetched = newest(tmp_path / "there")
    assert fetched is not None
    same = (fetched / "model.safetensors").read_bytes() == (here / "model.safetensors").read_bytes()
    assert same

    stage = CheckpointingStage()
    run = begin_run(minimal_recipe(f"{lake_url}/second"))
    drive(run, stage)
    assert stage.kept is not None
    left = Lake(f"{lake_url}/second").storage.list("runs")
    assert not [path for path in left if "/checkpoints/" in path]
