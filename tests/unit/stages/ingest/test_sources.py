"""Source files are read wherever they are, and every whole record is kept whatever the damage."""

import gzip
import json
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.errors import SourceError, StorageError
from parrot_core.stages.ingest.locating import expand_sources
from parrot_core.stages.ingest.sources import SourceRecord, open_source


def _record(number: int, **more: Any) -> dict[str, Any]:
    turns = [
        {"from": "human", "value": f'What is {number}? {{[\\"é'},
        {"from": "gpt", "value": f"It is the number {number}.\n"},
    ]
    return {"id": f"s{number}", "conversations": turns, **more}


RECORDS = [_record(number) for number in range(5)]


def _write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def _read(url: str) -> tuple[list[SourceRecord], list[str]]:
    with open_source(url) as source:
        return list(source), source.warnings


def _array(records: list[Any], **options: Any) -> bytes:
    return json.dumps(records, **options).encode()


def _lines(records: list[Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", _array(RECORDS)),
        ("a.json", b"\xef\xbb\xbf \n" + _array(RECORDS, indent=2, ensure_ascii=False)),
        ("a.jsonl", _lines(RECORDS)),
        ("a.json", b"\n\n" + _lines(RECORDS).replace(b"\n", b"\r\n\r\n")),
        ("a.json.gz", gzip.compress(_array(RECORDS))),
        ("a.jsonl.gz", gzip.compress(_lines(RECORDS))),
    ],
)
def test_arrays_and_lines_give_the_same_records(tmp_path: Path, name: str, data: bytes) -> None:
    records, warnings = _read(_write(tmp_path / name, data))
    assert records == [SourceRecord(index, record) for index, record in enumerate(RECORDS)]
    assert warnings == []


def test_files_are_read_through_any_fsspec_url(tmp_path: Path) -> None:
    with fsspec.open("memory://dump/a.json", "wb") as file:
        file.write(_array(RECORDS))
    local = _write(tmp_path / "a.json", _array(RECORDS))
    for url in ("memory://dump/a.json", f"file://{local}"):
        assert [record.record for record in _read(url)[0]] == RECORDS


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_cut_array_keeps_every_whole_record_and_says_so_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    indent = data.draw(st.sampled_from([None, 1]))
    whole = _array(RECORDS, indent=indent, ensure_ascii=False)
    first = whole.index(b"]", whole.index(b"]") + 1) if indent is None else len(whole) // 4
    cut = data.draw(st.integers(first, len(whole) - 1))
    url = _write(tmp_path_factory.mktemp("cut") / "a.json", whole[:cut])
    records, warnings = _read(url)
    assert [record.record for record in records] == RECORDS[: len(records)]
    assert len(records) == _whole_records(whole[:cut])
    assert len(warnings) == 1
    assert f"{len(records)} whole records" in warnings[0]


def _whole_records(text: bytes) -> int:
    """Records that end before the cut, found another way than the reader does."""
    decoder, rest, count = json.JSONDecoder(), text.decode(errors="ignore").lstrip()[1:], 0
    while True:
        rest = rest.lstrip().removeprefix(",").lstrip()
        try:
            end = decoder.raw_decode(rest)[1]
        except ValueError:
            return count
        rest, count = rest[end:], count + 1


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(400, 900))
def test_a_cut_gzip_file_keeps_what_was_written_before_the_cut(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    many = [_record(number, salt=f"{number * 7919:x}") for number in range(120)]
    packed = gzip.compress(_array(many), mtime=0)
    url = _write(tmp_path_factory.mktemp("cut") / "a.json.gz", packed[:cut])
    records, warnings = _read(url)
    assert [record.record for record in records] == many[: len(records)]
    assert "cut off or damaged" in warnings[0]


_DAMAGE = [
    b"{,}",
    b"\x00" * 5000,
    b'{"id": "x", "conversations": [{"from": "human", "va',
    b'lue": "the rest of a record"}]}',
    b'{"id": "x", "deep": ' + b"[" * 5000,
    b"]]",
]


@pytest.mark.parametrize("damage", _DAMAGE)
@pytest.mark.parametrize("at", [1, 3])
def test_damage_in_the_middle_keeps_all_records_around_it(
    tmp_path: Path, damage: bytes, at: int
) -> None:
    parts = [json.dumps(record).encode() for record in RECORDS]
    data = b"[" + b",".join([*parts[:at], damage, *parts[at:]]) + b"]"
    records, warnings = _read(_write(tmp_path / "a.json", data))
    assert [record.record for record in records if not record.problem] == RECORDS
    [problem] = [record.problem for record in records if record.problem]
    assert problem.startswith(f"byte {data.index(damage):,}: ") or damage == b"]]"
    assert len(warnings) == 1
    assert "1 place holds no whole record" in warnings[0]
    assert "all 5 others" in warnings[0]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_hole_in_an_array_costs_the_records_it_touches_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    parts = [json.dumps(_record(number)).encode() for number in range(8)]
    whole = b"[" + b",\n".join(parts) + b"]"
    start = data.draw(st.integers(len(parts[0]) + 1, len(whole) - 2))
    end = data.draw(st.integers(start + 1, len(whole) - 1))
    url = _write(tmp_path_factory.mktemp("hole") / "a.json", whole[:start] + whole[end:])
    untouched = [
        _record(number)
        for number, part in enumerate(parts)
        if whole.index(part) >= end or whole.index(part) + len(part) <= start
    ]
    read = [record.record for record in _read(url)[0]]
    assert [record for record in untouched if record not in read] == []


def test_nan_and_raw_control_characters_cost_no_record(tmp_path: Path) -> None:
    odd = _lines([_record(0)]).strip()[:-1] + b', "score": NaN, "more": "a\tb\x01"}'
    for name, data in (("a.json", b"[" + odd + b"]"), ("a.jsonl", odd + b"\n")):
        records, warnings = _read(_write(tmp_path / name, data))
        assert (len(records), records[0].problem, warnings) == (1, "", [])


def test_odd_but_valid_numbers_dont_stop_the_file(tmp_path: Path) -> None:
    odd = [_record(0, score=1.5, big=10**40, far=[1e300])]
    odd += [_record(1)]
    records, _ = _read(_write(tmp_path / "a.json", _array(odd)))
    assert str(records[0].record) == str(odd[0]).replace(str(10**40), "1e+40")
    assert records[1].record == odd[1]


def test_bad_bytes_are_replaced_and_reported(tmp_path: Path) -> None:
    data = _array([_record(0)]).replace(b"number", b"num\xff\xfeber")
    records, warnings = _read(_write(tmp_path / "a.json", data))
    assert "num\ufffd\ufffdber" in json.dumps(records[0].record, ensure_ascii=False)
    assert "2 places that aren't UTF-8" in warnings[0]


@given(
    bad=st.sampled_from(["{", "nonsense", '{"a": nan}', '{"a": 1} x', '{"a":' * 9999]),
    at=st.integers(0, 5),
)
def test_a_bad_line_is_named_and_the_others_are_read(
    tmp_path_factory: pytest.TempPathFactory, bad: str, at: int
) -> None:
    lines = [json.dumps(record) for record in RECORDS]
    lines.insert(at, bad)
    url = _write(tmp_path_factory.mktemp("bad") / "a.jsonl", "\n".join(lines).encode())
    records, warnings = _read(url)
    assert [record.record for record in records if not record.problem] == RECORDS
    assert records[at].problem.startswith(f"line {at + 1}: ")
    assert records[at].record == bad
    assert len(warnings) == 1
    assert f"1 place holds no whole record (the first: line {at + 1}: " in warnings[0]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b"PAR1\x00\x01", "a Parquet file that is cut off or damaged"),
        (b"PK\x03\x04rest", "a zip archive that is cut off or damaged"),
        (json.dumps({"version": 1, "data": []}, indent=2).encode(), 'found {"version": a number'),
        (b'{"data": []}', 'found {"data": []}'),
        (b'[{"one": "a", "two": {"b": 1}}]', 'found {"one": text, "two": {"b": a number}}'),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n",
            "a Git LFS pointer",
        ),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"<!DOCTYPE html><p>", "HTML or XML"),
        (b'["a", "b"]', "found a string"),
        (
            b'[{"id": 1, "conversations": [{"role": "user"}]}]',
            '"from": …, "value": …}, …]} (sharegpt)',
        ),
        (b'[{"id": "a", "conv', "holds no whole record"),
    ],
)
def test_a_file_of_another_kind_gets_one_clear_line(
    tmp_path: Path, data: bytes, expected: str
) -> None:
    url = _write(tmp_path / "a.json", data)
    with pytest.raises(SourceError) as caught:
        open_source(url)
    assert str(caught.value).startswith(url)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "url",
    [
        "nowhere/a.json",
        "file:///nowhere/a.json",
        "memory://nowhere/a.json",
        "nosuchprotocol://a.json",
        "package://no_such_package/a.json",
        "package://parrot_core/no_such_file.json",
        "package://parrot_core",
    ],
)
def test_a_missing_file_gets_one_clear_line(url: str) -> None:
    for read in (open_source, lambda url: expand_sources([url])):
        with pytest.raises(SourceError) as caught:
            read(url)
        assert str(caught.value).startswith(f"{url}: ")
        assert "\n" not in str(caught.value)


def test_folders_and_patterns_stand_for_their_files_in_order(tmp_path: Path) -> None:
    for name in ("b.json", "a.jsonl.gz", "notes.txt", ".hidden.json", "deep/c.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"[]")
    all_files = [str(tmp_path / name) for name in ("a.jsonl.gz", "b.json", "deep/c.json")]
    assert expand_sources([str(tmp_path)]) == all_files
    assert expand_sources([f"{tmp_path}/*.json", f"{tmp_path}/b.json"]) == all_files[1:2]
    assert expand_sources([f"file://{tmp_path}"]) == [f"file://{name}" for name in all_files]
    with pytest.raises(SourceError, match="no file found there"):
        expand_sources([f"{tmp_path}/*.parquet"])


def test_an_empty_array_holds_no_record(tmp_path: Path) -> None:
    assert _read(_write(tmp_path / "a.json", b"[]")) == ([], [])


def test_a_server_that_is_away_gets_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(fsspec.filesystem("memory"), "size", refuse)
    monkeypatch.setattr(fsspec.filesystem("memory"), "isfile", refuse)
    for read in (open_source, lambda url: expand_sources([url])):
        with pytest.raises(StorageError) as caught:
            read("memory://away.json")
        assert str(caught.value).startswith("memory://away.json: can't be reached: ")
