"""Publishing on the Hugging Face Hub: one commit that holds one export, private by default."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from parrot_core.errors import StorageError, UserError
from parrot_core.interchange.export import export
from parrot_core.interchange.hub import ATTEMPTS, HubRepository, repository_of
from parrot_core.lake.lake import Lake
from parrot_core.lake.whole_folder import MARKER
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.run_state import RUN
from tests.support.servers.hub_server import TOKEN, Hub, HubRepo, hub_server

NAME = "team/chats"
TO = f"hf://datasets/{NAME}"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return full_run(tmp_path_factory.mktemp("lake"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub_server() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        yield served


def folder_of(path: Path, files: dict[str, str]) -> Path:
    """A folder as an export writes it."""
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    (path / MARKER).write_text(json.dumps({"files": list(files)}))
    return path


def publish(folder: Path, **settings: bool) -> list[float]:
    """Publish a folder; returns the waits between attempts."""
    waits: list[float] = []
    repository = HubRepository(NAME, sleep=waits.append, **settings)
    repository.prepare()
    repository.publish(folder, "Publish")
    return waits


ONE = {"README.md": "# one", "data/train-0.parquet": "rows", "data/test-0.parquet": "more rows"}


def in_own_process(*command: str, hub: Hub, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    environment |= {
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )


COMMAND = "from parrot_cli.main import main; main()"
LOAD = f"""
import datasets, json
loaded = datasets.load_dataset("{NAME}")
print(json.dumps({{split: sorted(rows["id"]) for split, rows in loaded.items()}}))
"""


def test_load_dataset_reads_back_what_the_command_published(
    lake: Lake, hub: Hub, tmp_path: Path
) -> None:
    asked = ("export", f"conversations@{RUN}", "--to", TO, "--lake", lake.url, "--json")
    done = in_own_process("-c", COMMAND, *asked, hub=hub, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["url"] == f"{hub.endpoint}/datasets/{NAME}"
    assert TOKEN not in done.stdout + done.stderr
    assert hub.repos[NAME].private
    assert hub.count("/commit/") == 1
    card = hub.repos[NAME].files["README.md"].decode()
    assert "## " in card
    assert RUN in card
    loaded = in_own_process("-c", LOAD, hub=hub, home=tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    expected: dict[str, list[str]] = {}
    for row in lake.dataset("conversations", RUN).rows(["id", "split"]):
        expected.setdefault(row["split"], []).append(row["id"])
    found = json.loads(loaded.stdout.splitlines()[-1])
    assert found == {split: sorted(ids) for split, ids in expected.items()}


def test_another_dataset_published_to_the_same_place_loads_cleanly(
    lake: Lake, hub: Hub, tmp_path: Path
) -> None:
    export(lake, lake.dataset("conversations", RUN), TO, "hf")
    first = hub.repos[NAME].head
    export(lake, lake.dataset("preferences", RUN), TO, "hf")
    loaded = in_own_process("-c", LOAD, hub=hub, home=tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    ids = sorted(row["id"] for row in lake.dataset("preferences", RUN).rows(["id"]))
    assert json.loads(loaded.stdout.splitlines()[-1]) == {"train": ids}
    record = json.loads(hub.repos[NAME].revisions[first][MARKER])
    assert set(record["files"]) < set(hub.repos[NAME].revisions[first])


def test_files_of_the_export_before_are_removed_in_the_same_commit(
    hub: Hub, tmp_path: Path
) -> None:
    publish(folder_of(tmp_path / "one", ONE))
    before = hub.repos[NAME].head
    two = {"README.md": "# two", "data/train-0.parquet": "other rows"}
    publish(folder_of(tmp_path / "two", two))
    repo = hub.repos[NAME]
    assert set(repo.files) == {".gitattributes", MARKER, *two}
    assert len(repo.revisions) == 3  # created, one, two
    assert repo.revisions[before]["data/test-0.parquet"] == b"more rows"


def test_a_commit_of_somebody_else_meanwhile_is_built_upon(hub: Hub, tmp_path: Path) -> None:
    hub.before_commit.append((NAME, {"LICENSE": b"theirs"}))
    publish(folder_of(tmp_path, ONE))
    assert set(hub.repos[NAME].files) == {".gitattributes", "LICENSE", MARKER, *ONE}
    assert hub.count("/commit/") == 2


def test_a_busy_hub_is_asked_again_after_the_time_it_names(hub: Hub, tmp_path: Path) -> None:
    hub.faults["/commit/"] = [(429, {"Retry-After": "7"}), (503, {})]
    assert publish(folder_of(tmp_path, ONE)) == [7.0, 4.0]
    assert set(ONE) < set(hub.repos[NAME].files)


def test_a_publication_broken_off_sends_only_what_is_missing_when_run_again(
    hub: Hub, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, ONE)
    hub.faults["/commit/"] = [(503, {})] * ATTEMPTS
    with pytest.raises(StorageError, match="503"):
        publish(folder)
    assert set(hub.repos[NAME].files) == {".gitattributes"}
    sent = hub.count("PUT /upload/")
    publish(folder)
    assert hub.count("PUT /upload/") == sent == 2
    assert set(ONE) < set(hub.repos[NAME].files)


def test_a_public_repository_is_written_to_only_when_asked(hub: Hub, tmp_path: Path) -> None:
    hub.repos[NAME] = HubRepo(private=False)
    folder = folder_of(tmp_path, ONE)
    with pytest.raises(UserError, match="--public"):
        publish(folder)
    publish(folder, public=True)
    assert set(ONE) < set(hub.repos[NAME].files)


def test_files_that_no_export_wrote_are_replaced_only_by_force(hub: Hub, tmp_path: Path) -> None:
    hub.repos[NAME] = HubRepo(private=True)
    hub.repos[NAME].commit({"data/mine.parquet": b"theirs", "notes.txt": b"theirs"})
    folder = folder_of(tmp_path, ONE)
    with pytest.raises(UserError, match=r"data/mine\.parquet"):
        publish(folder)
    publish(folder, force=True)
    assert set(hub.repos[NAME].files) == {"notes.txt", MARKER, *ONE}


def test_a_refusal_says_what_to_do_and_never_shows_the_token(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.faults["/api/repos/create"] = [(403, {})]
    with pytest.raises(UserError, match="HF_TOKEN") as refused:
        publish(folder_of(tmp_path, ONE))
    assert TOKEN not in str(refused.value)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UserError, match="HF_TOKEN"):
        publish(tmp_path)


def test_the_offline_switch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        publish(tmp_path)


@pytest.mark.parametrize("to", ["hf://team/chats", "hf://datasets/chats", "hf://datasets/a/b/c"])
def test_a_place_on_the_hub_that_is_no_dataset_is_refused(to: str) -> None:
    with pytest.raises(UserError, match="hf://datasets/ORG/NAME"):
        repository_of(to)


def test_other_places_are_not_on_the_hub() -> None:
    assert repository_of("s3://bucket/out") is None
    assert repository_of(TO) == NAME


def test_only_the_hubs_own_layout_is_published_there(lake: Lake) -> None:
    with pytest.raises(UserError, match="expected hf"):
        export(lake, lake.dataset("conversations", RUN), TO, "sharegpt")
