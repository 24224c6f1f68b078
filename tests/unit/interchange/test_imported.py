"""Files and models of one's own become versions: checked, counted, and led back to their file."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parrot_core.errors import ParrotError, UserError
from parrot_core.interchange.imported.publishing import import_files, import_model
from parrot_core.interchange.imported.rows import PAIRS, READERS, Origin
from parrot_core.lake.lake import Lake
from parrot_core.lake.verify import verify_version
from parrot_core.schemas import DATASETS
from parrot_core.stages.ingest.clean import Rejection
from parrot_core.stages.ingest.language import Guess
from parrot_core.stages.ingest.layouts import LAYOUTS
from parrot_core.stages.reasons import REASONS

TALK = [
    {"role": "user", "content": "How tall is a giraffe?"},
    {"role": "assistant", "content": "About five metres."},
    {"role": "user", "content": "And how heavy is it?"},
    {"role": "assistant", "content": "Roughly a tonne."},
]


def write(folder: Path, *records: object, name: str = "mine.jsonl") -> str:
    path = folder / name
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return str(path)


def imported(folder: Path, kind: str, *records: object) -> tuple[Any, list[Any], list[Any]]:
    lake = Lake(str(folder / "lake"))
    manifest = import_files(lake, [write(folder, *records)], kind, "mine")
    version = lake.dataset(kind, "mine")
    manifest.accounting.close("test")
    assert not verify_version(lake, manifest, lambda _: None)
    return manifest, list(version.rows()), list(version.rejects())


def test_dialogues_of_any_layout_become_a_version_that_leads_back_to_the_file(
    tmp_path: Path,
) -> None:
    turns = [{"from": "human", "value": "Hi there!"}, {"from": "gpt", "value": "Hello."}]
    manifest, rows, rejects = imported(
        tmp_path, "dialogues", {"id": "a", "messages": TALK}, {"messages": [{"role": "user"}]}
    )
    (row,) = rows
    assert (row["id"], row["n_turns"], row["end_reason"]) == ("mine:a", 2, "imported")
    assert row["messages"] == TALK
    assert row["source_ids"] == [f"{tmp_path}/mine.jsonl#0"]
    assert manifest.accounting.rejected == {"malformed_record": 1}
    assert rejects[0]["source_ids"] == [f"{tmp_path}/mine.jsonl#1"]
    (file,) = manifest.metrics["files"]
    assert file["records"] == 2
    assert len(file["sha256"]) == 64
    again = import_files(
        Lake(str(tmp_path / "lake")),
        [write(tmp_path, {"id": "s", "conversations": turns}, name="gpt.jsonl")],
        "parrot",
        "theirs",
    )
    assert again.accounting.rows_out == 1


def test_conversations_get_the_splits_that_ingest_gives(tmp_path: Path) -> None:
    records = [{"id": f"c{n}", "messages": TALK} for n in range(200)]
    _, rows, _ = imported(tmp_path, "conversations", *records)
    splits = {split: sum(row["split"] == split for row in rows) for split in ("train", "seed")}
    assert 120 < splits["train"] < 170
    assert 30 < splits["seed"] < 75
    assert all(row["opens_session"] and row["source"] == "mine" for row in rows)


def test_seeds_are_texts_queries_or_openings_of_sessions(tmp_path: Path) -> None:
    _, rows, rejects = imported(
        tmp_path, "seeds", "What is a tide?", {"prompt": "Why?"}, {"messages": TALK}, {"query": " "}
    )
    assert [row["query"] for row in rows] == ["What is a tide?", "Why?", TALK[0]["content"]]
    assert [reject["reason"] for reject in rejects] == ["malformed_record"]


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Why?", "chosen": "Because.", "rejected": "No."},
        {
            "prompt": [{"role": "user", "content": "Why?"}],
            "chosen": [{"role": "assistant", "content": "Because."}],
            "rejected": [{"role": "assistant", "content": "No."}],
        },
        {
            "chosen": [
                {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "Because."},
            ],
            "rejected": [
                {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "No."},
            ],
        },
        {
            "prompt": "Why?",
            "chosen": [
                {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "Because."},
            ],
            "rejected": "No.",
        },
    ],
)
def test_pairs_come_in_each_of_trls_shapes(tmp_path: Path, record: dict[str, Any]) -> None:
    _, (row,), _ = imported(tmp_path, "preferences", record)
    assert row["prompt"] == [{"role": "user", "content": "Why?"}]
    assert row["chosen"] == [{"role": "assistant", "content": "Because."}]
    assert row["rejected"] == [{"role": "assistant", "content": "No."}]
    assert (row["turn"], row["strategy"]) == (1, "imported")


def test_pairs_that_teach_nothing_are_rejected_with_a_reason(tmp_path: Path) -> None:
    good = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}
    manifest, _, _ = imported(
        tmp_path,
        "preferences",
        good,
        {**good, "rejected": "Because. "},
        {**good, "rejected": ""},
        {**good, "chosen": " "},
        {**good, "prompt": [*TALK]},
        {**good, "chosen": 3},
    )
    assert manifest.accounting.rejected == {
        "chosen_unusable": 1,
        "malformed_record": 1,
        "negative_empty": 1,
        "negative_equals_chosen": 1,
        "no_user_turn": 1,
    }


def test_a_file_of_which_nothing_can_be_taken_publishes_nothing(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    pair = {"prompt": "Why?", "chosen": "Because.", "rejected": "Because."}
    with pytest.raises(ParrotError, match="none of 1 records can be taken as preferences"):
        import_files(lake, [write(tmp_path, pair)], "preferences", "mine")
    assert not lake.versions()
    with pytest.raises(UserError, match=r'found \{"a": a number\}, expected records as'):
        import_files(lake, [write(tmp_path, {"a": 1})], "preferences", "mine")
    with pytest.raises(UserError, match=r"--as dialogs: .*did you mean 'dialogues'"):
        import_files(lake, ["x"], "dialogs", "mine")


def test_a_version_is_never_replaced(tmp_path: Path) -> None:
    imported(tmp_path, "dialogues", {"messages": TALK})
    with pytest.raises(UserError, match="dialogues@mine is published"):
        imported(tmp_path, "dialogues", {"messages": TALK})


def test_a_model_folder_becomes_a_version_with_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git/x").write_text("x")
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    lake = Lake(str(tmp_path / "lake"))
    manifest = import_model(lake, str(folder), "parrot-ask", "mine")
    copy = lake.model("parrot-ask", "mine").local_copy(tmp_path / "cache")
    assert sorted(path.name for path in copy.iterdir()) == ["config.json", "model.safetensors"]
    assert manifest.metrics["base"] == str(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"holds no config\.json"):
        import_model(lake, str(folder), "parrot-ask", "other")


class English:
    """Tells every text to be English."""

    def detect(self, text: str) -> Guess:
        """English, for sure."""
        return Guess("en", 1.0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["prompt", "chosen", "rejected", "role", "content", "messages", "id"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("kind", sorted(READERS))
@given(record=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_record_is_it_becomes_a_row_of_the_schema_or_a_known_reject(
    kind: str, record: object
) -> None:
    read, layout, _ = READERS[kind]
    row = read(record, Origin("a:1", "a", "a#1", 1, layout or LAYOUTS["sharegpt"]), English())
    if isinstance(row, Rejection):
        assert row.reason in REASONS
    else:
        assert set(row) <= set(DATASETS[kind].arrow.names)
        assert layout is not PAIRS or row["chosen"] != row["rejected"]
