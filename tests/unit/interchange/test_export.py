"""An export holds what the version holds, in a layout that others read, whole or not at all."""

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
import yaml

from parrot_core.errors import CorruptFile, UserError
from parrot_core.interchange.export import export
from parrot_core.interchange.formats import FORMATS
from parrot_core.interchange.formats.parquet import Parquet
from parrot_core.lake.lake import Lake
from parrot_core.lake.whole_folder import BEGUN, MARKER, whole_folder
from parrot_core.schemas import DATASETS
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.run_state import RUN

PUBLISHED = ("conversations", "dialogues", "parrot", "context-queries", "preferences", "judgments")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return full_run(tmp_path_factory.mktemp("lake"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_load_dataset_reads_a_hugging_face_export_back_equal(
    lake: Lake, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    version = lake.dataset(name, RUN)
    export(lake, version, str(tmp_path / "out"), "hf")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    found = [row for split in loaded.values() for row in split]
    expected = list(version.rows())
    assert sorted(found, key=lambda row: row["id"]) == sorted(expected, key=lambda r: r["id"])
    if "split" in DATASETS[name].arrow.names:
        assert all(row["split"] == split for split, rows in loaded.items() for row in rows)
    else:
        assert list(loaded) == ["train"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_plain_parquet_keeps_every_row_and_column(lake: Lake, name: str, tmp_path: Path) -> None:
    version = lake.dataset(name, RUN)
    done = export(lake, version, str(tmp_path / "out"), "parquet")
    tables = [pq.read_table(tmp_path / "out" / file.path) for file in done.files]
    assert all(table.schema.equals(DATASETS[name].arrow) for table in tables)
    assert sum(table.num_rows for table in tables) == done.rows == len(list(version.rows()))


def test_files_of_a_split_are_numbered_of_how_many_there_are(lake: Lake, tmp_path: Path) -> None:
    version = lake.dataset("conversations", RUN)
    files = Parquet(file_bytes=1).write(version, tmp_path, lambda _: None)
    for file in files:
        _, number, of, total = file.path.removesuffix(".parquet").split("-")
        assert of == "of"
        assert int(number) < int(total)
    assert sum(file.rows for file in files) == len(list(version.rows()))


def test_trl_lines_have_the_fields_of_its_types(lake: Lake, tmp_path: Path) -> None:
    fields = {
        "parrot": {"messages"},
        "preferences": {"prompt", "chosen", "rejected"},
        "context-queries": {"prompt", "completion"},
    }
    for name, expected in fields.items():
        version = lake.dataset(name, RUN)
        done = export(lake, version, str(tmp_path / name), "trl")
        lines = (tmp_path / name / done.files[0].path).read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert len(rows) == len(list(version.rows()))
        assert all(row.keys() == expected | {"id"} for row in rows)
        for row in rows:
            for field in expected:
                assert all(m.keys() == {"role", "content"} for m in row[field])


def test_the_card_names_splits_lineage_licence_and_statistics(lake: Lake, tmp_path: Path) -> None:
    export(lake, lake.dataset("parrot", RUN), str(tmp_path / "out"), "hf")
    card = (tmp_path / "out" / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    meta = yaml.safe_load(front)
    [config] = meta["configs"]
    assert config["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    assert meta["license"] == "unknown"
    assert meta["language"] == ["en"]
    for text in ("turns a session", f"conversations@{RUN}", "without a clear licence", "Recipe"):
        assert text in body
    assert not [line for line in body.splitlines() if "{{" in line or "{%" in line]


def test_the_record_beside_the_rows_leads_back_to_the_first_stage(
    lake: Lake, tmp_path: Path
) -> None:
    done = export(lake, lake.dataset("parrot", RUN), str(tmp_path / "out"), "sharegpt")
    record = json.loads((tmp_path / "out" / MARKER).read_text())
    assert record["version"] == f"parrot@{RUN}"
    assert [each["rows"] for each in record["rows"]] == [file.rows for file in done.files]
    assert {"parrot", "dialogues", "seeds", "conversations"} <= {
        each["name"] for each in record["lineage"]
    }


@pytest.mark.parametrize(
    ("name", "format"), [("judgments", "trl"), ("preferences", "sharegpt"), ("parrot", "csv")]
)
def test_a_format_that_cannot_hold_the_rows_is_refused_by_name(
    lake: Lake, name: str, format: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="expected") as refused:
        export(lake, lake.dataset(name, RUN), str(tmp_path / "out"), format)
    assert "parquet" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_an_export_is_replaced_only_with_force(lake: Lake, tmp_path: Path) -> None:
    target = str(tmp_path / "out")
    export(lake, lake.dataset("parrot", RUN), target, "parquet")
    with pytest.raises(UserError, match="--force"):
        export(lake, lake.dataset("parrot", RUN), target, "trl")
    export(lake, lake.dataset("parrot", RUN), target, "trl", force=True)
    assert not list(Path(target).glob("*.parquet"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_no_export_wrote_is_never_replaced(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="no export wrote"):
        export(lake, lake.dataset("parrot", RUN), str(tmp_path), "trl", force=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_what_was_put_beside_an_export_is_not_removed_with_it(lake: Lake, tmp_path: Path) -> None:
    target = tmp_path / "out"
    export(lake, lake.dataset("parrot", RUN), str(target), "hf")
    export(lake, lake.dataset("parrot", RUN), str(target), "hf", force=True)
    (target / ".git").mkdir()
    (target / ".git" / "HEAD").write_text("ref")
    with pytest.raises(UserError, match=r"\.git/HEAD"):
        export(lake, lake.dataset("parrot", RUN), str(target), "hf", force=True)
    assert (target / ".git" / "HEAD").exists()


def test_nothing_is_written_into_the_lake(lake: Lake) -> None:
    with pytest.raises(UserError, match="outside"):
        export(lake, lake.dataset("parrot", RUN), f"{lake.url}/datasets/copy", "trl")


@pytest.mark.parametrize("format", list(FORMATS))
def test_a_damaged_version_leaves_nothing_behind(format: str, tmp_path: Path) -> None:
    lake = full_run(tmp_path / "lake")
    version = lake.dataset("parrot", RUN)
    file = tmp_path / "lake" / "datasets" / "parrot" / RUN / version.manifest.files[0].path
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(CorruptFile):
        export(lake, version, str(tmp_path / "out"), format)
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


@pytest.fixture
def bucket() -> Iterator[str]:
    yield "memory://bucket/exports"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def names(url: str) -> set[str]:
    fs, root = fsspec.core.url_to_fs(url)
    return {path.removeprefix(f"{root}/") for path in fs.find(root)}


def test_an_object_store_gets_the_record_last(lake: Lake, bucket: str) -> None:
    done = export(lake, lake.dataset("parrot", RUN), bucket, "sharegpt")
    assert names(bucket) == {MARKER, *(file.path for file in done.files)}


def test_a_failed_export_to_an_object_store_keeps_the_earlier_one(bucket: str) -> None:
    with whole_folder(bucket, force=False) as folder:
        (folder / "old.txt").write_text("old")
        (folder / MARKER).write_text(json.dumps({"files": ["old.txt"]}))

    def breaks_off() -> None:
        with whole_folder(bucket, force=True) as folder:
            (folder / "new.txt").write_text("new")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="disk"):
        breaks_off()
    assert names(bucket) == {"old.txt", MARKER}


def test_an_upload_that_was_killed_is_known_as_unfinished(bucket: str) -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/exports/" + BEGUN, b"{}")
    with pytest.raises(UserError, match="unfinished"), whole_folder(bucket, force=False):
        pass
    with whole_folder(bucket, force=True) as folder:
        (folder / MARKER).write_text("{}")
    assert names(bucket) == {MARKER}
