"""Folders and archives as people have them: clutter is passed over, what is broken is named."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.errors import SourceError, UserError
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.stages.ingest.passing_over import passed_over
from parrot_core.stages.ingest.sources import UnreadableMember, open_documents, open_source
from parrot_core.stages.ingest.stage import IngestStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.stage_work import FakeWork


def _chat(number: int) -> dict[str, Any]:
    turns = [{"from": "human", "value": f"q{number}"}, {"from": "gpt", "value": f"a{number}"}]
    return {"id": f"c{number}", "conversations": turns}


def _lines(*numbers: int) -> bytes:
    return b"".join(json.dumps(_chat(number)).encode() + b"\n" for number in numbers)


def _parquet(*numbers: int) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([_chat(number) for number in numbers]), sink)
    return sink.getvalue()


def _arrow(*numbers: int) -> bytes:
    table = pa.Table.from_pylist([_chat(number) for number in numbers])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _csv(*numbers: int, delimiter: str = ",") -> bytes:
    rows = [
        f'c{n}{delimiter}"{json.dumps(_chat(n)["conversations"]).replace(chr(34), chr(34) * 2)}"'
        for n in numbers
    ]
    return "\n".join([f"id{delimiter}conversations", *rows]).encode() + b"\n"


def _write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def _works(folder: Path, source: object = None, **ingest: Any) -> list[FakeWork]:
    """Every file of a source, ingested."""
    recipe = minimal_recipe("unused", ingest={"sources": [source or str(folder)], **ingest})
    stage = IngestStage()
    works = []
    for plan in stage.plan(Run("test", recipe, Lake(str(folder)), folder)):
        work = FakeWork(recipe, folder, plan=plan)
        stage.process(work)
        work.assert_accounts_close()
        works.append(work)
    return works


def _ids(works: list[FakeWork]) -> list[str]:
    return sorted(row["id"].rpartition(":")[2] for work in works for row in work.emitted)


def _passed(works: list[FakeWork]) -> dict[str, int]:
    summary = IngestStage().summarise(works[0].run, [w.receipt("record") for w in works])
    assert summary is not None
    return dict(summary["passed_over"])


CLUTTER = {
    ".hidden.json": b"[1]",
    ".git/config.json": b"{}",
    ".ipynb_checkpoints/a-checkpoint.jsonl": b"old",
    ".cache/huggingface/a.parquet": b"x",
    "__pycache__/a.json": b"x",
    "_SUCCESS": b"",
    ".part-0.jsonl.crc": b"crc",
    "empty.jsonl": b"",
    "README.md": b"# Chats",
    "LICENSE": b"MIT",
    "dataset_infos.json": b'{"default": {"features": {}}}',
    "cat.png": b"\x89PNG",
    "notes.txt": b"later",
    "deep/er/state.json": b"{}",
}


def test_what_is_no_data_is_passed_over_and_counted(tmp_path: Path) -> None:
    folder = _write(tmp_path, {**CLUTTER, "a.jsonl": _lines(1), "deep/b.json": b"[]"})
    works = _works(folder)
    assert _ids(works) == ["c1"]
    assert sum(_passed(works).values()) == len(CLUTTER)
    assert _passed(works)["Jupyter checkpoint"] == 1
    assert _passed(works)["empty"] == 1
    assert not any(work.rejected for work in works)


def test_include_and_exclude_say_which_files_are_read(tmp_path: Path) -> None:
    files = {"train/a.txt": _lines(1), "train/b.jsonl": _lines(2), "test/c.jsonl": _lines(3)}
    folder = str(_write(tmp_path, files))
    every = {"url": folder, "include": ["train/*"]}
    assert _ids(_works(tmp_path, every)) == ["c1", "c2"]
    assert _ids(_works(tmp_path, every | {"exclude": ["*.jsonl"]})) == ["c1"]
    assert _ids(_works(tmp_path, {"url": folder, "exclude": ["test/*"]})) == ["c2"]
    with pytest.raises(SourceError, match="passed over: 3 not included"):
        _works(tmp_path, {"url": folder, "include": ["*.xml"]})


BROKEN = {
    "lfs.jsonl": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "Git LFS"),
    "page.json": (b"<!DOCTYPE html>", "HTML"),
    "odd.json": (b'[{"one": 1}]', 'found {"one": a number}'),
    "cut.parquet": (b"PAR1\x00", "cut off or damaged"),
    "cut.zip": (b"PK\x03\x04xx", "a zip archive that is cut off"),
    "cut.json.gz": (gzip.compress(_lines(1))[:20], "cut off"),
    "text.csv": (b"a,b\n1,2\n", 'found {"a": text'),
}


def test_a_file_that_cant_be_read_is_one_reject_and_the_others_go_on(tmp_path: Path) -> None:
    files = {name: data for name, (data, _) in BROKEN.items()}
    folder = _write(tmp_path, {**files, "fine.jsonl": _lines(1), "blank.json": b" \n"})
    works = _works(folder)
    assert _ids(works) == ["c1"]
    rejects = {Path(r["source_ids"][0]).name: r for work in works for r in work.rejected}
    assert rejects.keys() == BROKEN.keys()
    for name, (_, why) in BROKEN.items():
        assert why in rejects[name]["detail"], name
        assert rejects[name]["reason"] == "unreadable_file"
        [warning] = [w for work in works for w in work.warnings if name in w and why in w]
        assert "\n" not in warning
    assert _passed(works) == {"empty": 1}
    with pytest.raises(SourceError, match="and 6 more can't be read"):
        _works(folder, on_unreadable="stop")


def test_a_folder_of_nothing_but_broken_files_doesnt_start(tmp_path: Path) -> None:
    folder = _write(tmp_path, {name: data for name, (data, _) in BROKEN.items()})
    with pytest.raises(SourceError) as caught:
        _works(folder)
    assert caught.value.exit_code == 2


_FILES: dict[str, Callable[..., bytes]] = {
    "a.jsonl": _lines,
    "a.parquet": _parquet,
    "data-00000-of-00001.arrow": _arrow,
    "a.csv": _csv,
    "a.tsv": lambda *numbers: _csv(*numbers, delimiter="\t"),
    "a.jsonl.gz": lambda *numbers: gzip.compress(_lines(*numbers)),
    "utf16.json": lambda *numbers: json.dumps([_chat(n) for n in numbers]).encode("utf-16"),
    "utf16be.json": lambda *numbers: json.dumps([_chat(n) for n in numbers]).encode("utf-16-be"),
    "utf32.jsonl": lambda *numbers: _lines(*numbers).decode().encode("utf-32"),
    "utf16.csv": lambda *numbers: _csv(*numbers).decode().encode("utf-16"),
}


@pytest.mark.parametrize("name", _FILES)
def test_a_file_of_each_kind_is_read_alone_and_in_archives(tmp_path: Path, name: str) -> None:
    data = _FILES[name](1, 2)
    assert _ids(_works(_write(tmp_path / "alone", {name: data}))) == ["c1", "c2"]
    for suffix, archive in ARCHIVES.items():
        folder = _write(tmp_path / suffix, {f"chats{suffix}": archive({f"in/{name}": data})})
        works = _works(folder)
        assert _ids(works) == ["c1", "c2"], suffix
        assert all(f"/in/{name}:c" in row["id"] for work in works for row in work.emitted)


def _zip(files: Mapping[str, bytes], **options: Any) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return sink.getvalue()


def _tar(files: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


ARCHIVES: dict[str, Callable[[Mapping[str, bytes]], bytes]] = {
    ".zip": _zip,
    ".tar": _tar,
    ".tar.gz": lambda files: gzip.compress(_tar(files)),
    ".tar.bz2": lambda files: bz2.compress(_tar(files)),
    ".tar.xz": lambda files: lzma.compress(_tar(files)),
    ".tar.zst": lambda files: zstandard.compress(_tar(files)),
}


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_an_archive_gives_its_data_and_names_what_it_cant_give(tmp_path: Path, suffix: str) -> None:
    inner = {"b/d.jsonl": _lines(4, 5), "inner.zip": _zip({"x.jsonl": _lines(9)})}
    files = {
        **CLUTTER,
        "a.jsonl": _lines(1),
        "b/c.json": b"[{]",
        **inner,
        "lfs.json": BROKEN["lfs.jsonl"][0],
    }
    files["lfs.json"] = BROKEN["lfs.jsonl"][0]
    folder = _write(tmp_path, {f"chats{suffix}": ARCHIVES[suffix](files)})
    works = _works(folder)
    assert _ids(works) == ["c1", "c4", "c5"]
    details = " ".join(str(r["detail"]) for work in works for r in work.rejected)
    assert "an archive in an archive" in details
    assert "Git LFS" in details
    assert sum(_passed(works).values()) == len(CLUTTER)


def test_an_encrypted_archive_is_named_and_what_is_open_in_it_is_read(tmp_path: Path) -> None:
    data = bytearray(_zip({"secret.jsonl": _lines(1), "open.jsonl": _lines(2)}))
    data[6] |= 1  # the flag of the first file, in front of it and in the index
    data[data.index(b"PK\x01\x02") + 8] |= 1
    works = _works(_write(tmp_path, {"chats.zip": bytes(data)}))
    assert _ids(works) == ["c2"]
    assert "it is encrypted" in works[0].rejected[0]["detail"]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_cut_archive_keeps_the_files_before_the_cut(tmp_path: Path, suffix: str) -> None:
    noise = {f"{n}.jsonl": _lines(*range(n * 100, n * 100 + 100)) for n in range(20)}
    data = ARCHIVES[suffix](noise)
    works = _works(_write(tmp_path, {f"chats{suffix}": data[: len(data) // 2]}))
    assert len(_ids(works)) > 600
    assert any("cut off" in warning for work in works for warning in work.warnings)


def test_a_bomb_is_named_before_it_bursts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parrot_core.stages.ingest.unpacking._BOMB_BYTES", 1 << 20)
    data = bz2.compress(_lines(1) + b" " * (60 << 20))
    folder = _write(tmp_path, {"bomb.jsonl.bz2": data, "fine.jsonl": _lines(2)})
    works = _works(folder)
    assert "c2" in _ids(works)
    assert any("times its size when unpacked" in w for work in works for w in work.warnings)


def test_save_to_disk_is_read_split_by_split(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([_chat(1), _chat(2)])
    datasets.DatasetDict({"train": rows, "test": rows.select([1])}).save_to_disk(
        str(tmp_path / "s")
    )
    works = _works(tmp_path / "s")
    assert _ids(works) == ["c1", "c2", "c2"]
    assert _passed(works) == {"metadata": 5}


def test_a_name_that_stands_for_no_file_of_ours_is_named(tmp_path: Path) -> None:
    folder = _write(tmp_path, {"a.jsonl": _lines(1)})
    for wrong in ({"rules": ["interfaec"]}, {"checks": {"rude": "flag"}}):
        with pytest.raises(UserError, match="there are: "):
            _works(folder, **wrong)
    with pytest.raises(UserError, match="no 'sharegtp'; there are: "):
        _works(folder, {"url": str(folder), "layout": "sharegtp"})


def test_one_member_of_an_archive_can_be_opened(tmp_path: Path) -> None:
    path = _write(tmp_path, {"c.zip": _zip({"a.jsonl": _lines(1), "b.jsonl": _lines(2)})}) / "c.zip"
    with open_source(str(path), member="b.jsonl") as source:
        assert [record.record for record in source] == [_chat(2)]


def _read_all(path: Path) -> str:
    """Read whatever is there; the error, if it ends with one."""
    try:
        for document in open_documents(str(path)):
            if not isinstance(document, UnreadableMember):
                with document:
                    list(document)
    except SourceError as error:
        return str(error)
    return ""


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=300), suffix=st.sampled_from([*ARCHIVES, ".csv", ".json", ".arrow"]))
def test_no_bytes_make_a_reader_stumble(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"a{suffix}"
    for start in (b"", b"PK\x03\x04", b"\xff\xff\xff\xff", b"ARROW1", b"\x1f\x8b", b"id,text\n"):
        path.write_bytes(start + data)
        assert "\n" not in _read_all(path)


@settings(max_examples=100, deadline=None)
@given(spot=st.integers(0, 4000), byte=st.integers(0, 255), suffix=st.sampled_from([*ARCHIVES]))
def test_a_changed_byte_in_an_archive_costs_no_more_than_an_error_that_says_so(
    tmp_path_factory: pytest.TempPathFactory, spot: int, byte: int, suffix: str
) -> None:
    data = bytearray(ARCHIVES[suffix]({f"{n}.jsonl": _lines(n, n + 1) for n in range(6)}))
    data[spot % len(data)] = byte
    path = tmp_path_factory.mktemp("bit") / f"a{suffix}"
    path.write_bytes(data)
    assert "\n" not in _read_all(path)


@given(st.text(max_size=30), st.none() | st.integers(0, 9))
def test_any_path_is_data_or_has_a_reason(path: str, size: int | None) -> None:
    assert passed_over(path, size) != ""
