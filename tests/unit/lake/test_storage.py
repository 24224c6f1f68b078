import errno
import os
import threading
from pathlib import Path

import pytest

from parrot_core.errors import StorageError, UserError
from parrot_core.lake.storage import Storage


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    urls = {"local": str(tmp_path / "lake"), "memory": f"memory://lake-{tmp_path.name}"}
    return Storage(urls[request.param])


def test_what_is_written_is_read_and_listed(storage: Storage) -> None:
    storage.write_bytes("a/b/one.txt", b"1")
    storage.write_json("a/two.json", {"x": "é"})
    assert storage.read_bytes("a/b/one.txt") == b"1"
    assert storage.read_json("a/two.json") == {"x": "é"}
    assert storage.list("a") == ["a/b/one.txt", "a/two.json"]
    assert storage.list("nothing/here") == []


def test_folders_are_named_without_what_is_in_them(storage: Storage) -> None:
    storage.write_bytes("runs/b/x/y.json", b"1")
    storage.write_bytes("runs/a/z.json", b"1")
    storage.write_bytes("runs/file.json", b"1")
    assert storage.folders("runs") == ["a", "b"]
    assert storage.folders("nothing") == []


def test_a_missing_file_is_file_not_found(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read_bytes("none")
    assert not storage.exists("none")


def test_put_if_absent_keeps_the_first_content(storage: Storage) -> None:
    assert storage.put_if_absent("x.json", b"mine")
    assert not storage.put_if_absent("x.json", b"yours")
    assert storage.read_bytes("x.json") == b"mine"


def test_put_if_absent_again_with_the_same_content_is_a_success(storage: Storage) -> None:
    """A PUT that timed out but succeeded comes back as a conflict with ourselves."""
    assert storage.put_if_absent("x.json", b"mine")
    assert storage.put_if_absent("x.json", b"mine")


def test_of_many_writers_exactly_one_wins(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    for round_ in range(20):
        wins: list[int] = []

        def write(number: int, path: str = f"r{round_}.json", wins: list[int] = wins) -> None:
            if storage.put_if_absent(path, f"writer {number}".encode()):
                wins.append(number)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wins) == 1
        assert storage.read_bytes(f"r{round_}.json") == f"writer {wins[0]}".encode()


def test_no_space_left_is_one_clear_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(str(tmp_path))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"a\.json: can't write: no space left"):
        storage.write_json("a.json", {})
    monkeypatch.undo()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_an_unknown_scheme_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="nowhere://x"):
        Storage("nowhere://x")


def test_a_json_file_that_holds_no_object_is_named(storage: Storage) -> None:
    storage.write_bytes("bad.json", b"[1")
    with pytest.raises(StorageError, match=r"bad\.json"):
        storage.read_json("bad.json")


def test_upload_and_download_keep_the_content(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(os.urandom(100_000))
    storage.upload(source, "models/x/file.bin")
    storage.download("models/x/file.bin", tmp_path / "deep" / "copy.bin")
    assert (tmp_path / "deep" / "copy.bin").read_bytes() == source.read_bytes()
    storage.delete(["models/x/file.bin", "models/x/file.bin"])
    assert storage.list("models") == []


def test_many_files_are_read_in_order_and_missing_ones_are_none(storage: Storage) -> None:
    paths = [f"{n}.json" for n in range(50)]
    for path in paths:
        storage.write_json(path, {"path": path})
    storage.delete(["gone.json", *paths[:10]])
    kept = [{"path": path} for path in paths[10:]]
    assert list(storage.read_jsons(paths)) == [*[None] * 10, *kept]
    assert [data is None for data in storage.read_many(paths[8:12])] == [True, True, False, False]
    assert list(storage.read_jsons([])) == []
