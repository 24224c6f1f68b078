"""The same records come out of every container, and damage costs only what it touches."""

import bz2
import gzip
import json
import lzma
import random
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from parrot_core.errors import SourceError, StorageError
from parrot_core.stages.ingest.sources import SourceRecord, open_source

ROLES = ("user", "assistant")


def _record(number: int) -> dict[str, Any]:
    noise = random.Random(number).randbytes(150).hex()
    messages = [
        {"role": role, "content": f"{role} {number} é😀 {noise}"} for role in (*ROLES, *ROLES)
    ]
    return {"id": f"s{number}", "messages": messages}


RECORDS = [_record(number) for number in range(400)]
LINES = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)
ARRAY = json.dumps(RECORDS).encode()


def _read(url: object) -> tuple[list[SourceRecord], list[str]]:
    with open_source(str(url)) as source:
        return list(source), source.warnings


def _records(url: object) -> list[object]:
    records, warnings = _read(url)
    assert warnings == []
    return [record.record for record in records]


def _zstd(data: bytes, frames: int = 1) -> bytes:
    size = -(-len(data) // frames)
    return b"".join(zstandard.compress(data[n : n + size]) for n in range(0, len(data), size))


@pytest.mark.parametrize("data", [LINES, ARRAY])
@pytest.mark.parametrize(
    "packed",
    [
        _zstd,
        lambda data: _zstd(data, frames=3),
        gzip.compress,
        lambda data: gzip.compress(data[:999]) + gzip.compress(data[999:]),
        bz2.compress,
        lzma.compress,
    ],
)
def test_a_compressed_file_is_told_by_its_content(tmp_path: Path, data: bytes, packed: Any) -> None:
    path = tmp_path / "no-suffix"
    path.write_bytes(packed(data))
    assert _records(path) == RECORDS


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"data": RECORDS}),
        json.dumps({"data": RECORDS, "version": 1}, indent=1),
        "\n".join(json.dumps(record, indent=2) for record in RECORDS),
        json.dumps(RECORDS[:200]) + "\n" + json.dumps(RECORDS[200:]),
        "\n\n" + json.dumps(RECORDS, ensure_ascii=False, indent=2),
    ],
    ids=["wrapped", "wrapped, indented", "indented objects", "two arrays", "indented array"],
)
def test_records_are_found_however_the_json_is_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert _records(path) == RECORDS


def test_a_single_line_of_messages_is_one_record(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"messages": RECORDS[0]["messages"]}))
    assert _records(path) == [{"messages": RECORDS[0]["messages"]}]


@pytest.mark.parametrize("packed", [_zstd, gzip.compress, lzma.compress])
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_a_cut_compressed_file_keeps_what_stands_before_the_cut(
    tmp_path: Path, packed: Any, share: float
) -> None:
    many = [_record(number) for number in range(1500)]
    data = packed("\n".join(map(json.dumps, many)).encode())
    path = tmp_path / "a.jsonl"
    path.write_bytes(data[: int(len(data) * share)])
    records, warnings = _read(path)
    whole = [record.record for record in records if not record.problem]
    assert whole == many[: len(whole)]
    assert len(whole) > 0.7 * share * len(many)
    assert any("cut off or damaged" in warning for warning in warnings)


@pytest.mark.parametrize("packed", [lambda data: _zstd(data, frames=20), gzip.compress])
def test_damage_within_a_compressed_file_is_reported(tmp_path: Path, packed: Any) -> None:
    data = bytearray(packed(LINES * 3))
    middle = len(data) // 2
    data[middle : middle + 50] = bytes(50)
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    records, warnings = _read(path)
    before = [record.record for record in records if not record.problem][: len(RECORDS)]
    assert before == RECORDS[: len(before)]
    assert len(before) == len(RECORDS)
    assert any("cut off or damaged" in warning for warning in warnings)


def _write_parquet(path: Path, records: list[dict[str, Any]], **options: Any) -> None:
    pq.write_table(pa.Table.from_pylist(records), path, **options)


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
def test_parquet_rows_come_as_plain_values(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "train-00000.parquet"
    _write_parquet(path, RECORDS, row_group_size=64, compression=compression)
    assert _records(path) == RECORDS
    with open_source(str(path)) as source:
        assert source.records_expected() == len(RECORDS)
        assert list(source)
        assert source.bytes_read == source.total_bytes


def test_a_damaged_row_group_costs_its_own_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    _write_parquet(path, RECORDS, row_group_size=100, write_page_checksum=True)
    group = pq.ParquetFile(path).metadata.row_group(2)
    columns = [group.column(number) for number in range(group.num_columns)]
    texts = max(columns, key=lambda column: int(column.total_compressed_size))
    data = bytearray(path.read_bytes())
    place = texts.dictionary_page_offset + texts.total_compressed_size // 2
    data[place : place + 40] = bytes(40)
    path.write_bytes(data)
    records, warnings = _read(path)
    assert [record.record for record in records] == RECORDS[:200] + RECORDS[300:]
    assert len(warnings) == 1
    assert "100 of 400 rows, in row groups 2, can't be read" in warnings[0]


@pytest.mark.parametrize("share", [0.1, 0.9, 0.999])
def test_a_cut_parquet_file_gets_one_clear_line(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.parquet"
    _write_parquet(path, RECORDS)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SourceError, match="its index, at the end, can't be read") as caught:
        open_source(str(path))
    assert "\n" not in str(caught.value)


def test_a_row_that_isnt_utf8_costs_itself_only(tmp_path: Path) -> None:
    bad = pa.array([b"[|Human|] fine", b"\xff\xfe", b"[|Human|] too"], pa.binary()).view(
        pa.string()
    )
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"input": bad}), path)
    with open_source(str(path)) as source:
        records = list(source)
    assert [bool(record.problem) for record in records] == [False, True, False]
    assert "not UTF-8" in records[1].problem


def test_a_huge_record_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    huge = {"id": "x", "messages": [{"role": "user", "content": "a" * (17 << 20)}]}
    for name, text in (
        ("a.json", json.dumps([RECORDS[0], huge, RECORDS[1]])),
        ("a.jsonl", "\n".join(map(json.dumps, (RECORDS[0], huge, RECORDS[1])))),
    ):
        path = tmp_path / name
        path.write_text(text)
        records, warnings = _read(path)
        assert [r.record for r in records if not r.problem] == RECORDS[:2]
        assert "longer than 16 MiB" in records[1].problem
        assert len(str(records[1].record)) <= 1000
        assert len(warnings) == 1


def test_bad_bytes_in_a_packed_file_are_mended_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    surrogate = b'{"id": "s", "messages": [{"role": "user", "content": "\\ud83d x \xff"}]}\n'
    path.write_bytes(zstandard.compress(b"\xef\xbb\xbf" + LINES + surrogate))
    records, warnings = _read(path)
    assert len(records) == len(RECORDS) + 1
    assert "1 places that aren't UTF-8 and 1 halves of surrogate pairs" in warnings[0]


def test_a_dataset_saved_to_disk_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list(RECORDS)
    rows.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": rows, "test": rows.select(range(3))}).save_to_disk(
        str(tmp_path / "many")
    )
    assert _records(f"datasets://{tmp_path}/one") == RECORDS
    assert _records(f"datasets://{tmp_path}/many") == RECORDS
    assert _records(f"datasets://{tmp_path}/many?split=test") == RECORDS[:3]
    with pytest.raises(SourceError, match="not found"):
        open_source(f"datasets://{tmp_path}/many?split=nosuch")


@pytest.mark.parametrize("streaming", ["1", "0"])
def test_a_local_dataset_repository_is_read_by_load_dataset(
    tmp_path: Path, streaming: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "chats"
    folder.mkdir()
    (folder / "train.jsonl").write_bytes(LINES)
    url = f"datasets://{folder}?split=train&streaming={streaming}"
    assert _records(url) == RECORDS


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("datasets://", "no name"),
        ("datasets://name?spilt=train", "unknown option 'spilt'"),
        ("datasets://name?streaming=maybe", "streaming not 0 or 1"),
        ("datasets:///nowhere/at/all", "not found"),
    ],
)
def test_a_wrong_dataset_address_gets_one_clear_line(url: str, expected: str) -> None:
    with pytest.raises((SourceError, StorageError)) as caught:
        open_source(url)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(SourceError, match=r"pip install 'parrot-factory\[train\]'"):
        open_source("datasets://name")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub.hf_file_system", None)
    with pytest.raises(SourceError, match="huggingface_hub"):
        open_source("hf://datasets/someone/something/train.parquet")
