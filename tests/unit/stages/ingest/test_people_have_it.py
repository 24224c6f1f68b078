"""A folder of one file of each layout, whole and damaged, gives every whole conversation.

And one readable account: how many records came in which layout, what was passed over and why, which
files couldn't be read, and which places in others hold no record.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parrot_core.execution.runs import begin_run
from parrot_core.stages.ingest.assemble import AssembleStage
from parrot_core.stages.ingest.layouts import LAYOUTS
from parrot_core.stages.ingest.stage import IngestStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import drive
from tests.support.layout_examples import EXAMPLES, MESSAGES, oasst_rows

TEXTS = [message["content"] for message in MESSAGES]
WHOLE = 3
"""Records of each file that are whole."""


def _marked(record: Any, mark: str) -> Any:
    """The same record about another thing, so that no two are alike."""
    return json.loads(json.dumps(record).replace("Rust", f"Rust{mark}"))


def _one_of_each() -> Iterator[tuple[str, str, list[Any]]]:
    """Name of the file, of its layout, and its records."""
    for number, (layout, _, record) in enumerate(EXAMPLES):
        records = [_marked(record, f"{number}x{n}") for n in range(WHOLE)]
        yield f"{number:02}-{layout}", layout, records


def _write(folder: Path) -> None:
    """Each as lines with a broken one between, and as an array that is cut off; and clutter."""
    for name, _, records in _one_of_each():
        lines = [json.dumps(record) for record in records]
        (folder / f"{name}.jsonl").write_text("\n".join([lines[0], '{"broken', *lines[1:]]))
        more = [_marked(record, "cut") for record in records]
        cut = json.dumps([*more, {"id": "lost", "text": "never ended"}])[:-12]
        (folder / f"{name}-cut.json").write_text(cut)
    rows = "\n".join(json.dumps(_marked(row, "rows")) for row in oasst_rows())
    (folder / "oasst-rows.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    clutter = {
        "README.md": "# Mine",
        "empty.jsonl": "",
        ".x.json": "[1]",
        "dataset_infos.json": "{}",
    }
    unreadable = {"odd.json": '[{"one": {"two": 3}}]', "page.json": "<html></html>"}
    for name, text in {**clutter, **unreadable}.items():
        (folder / name).write_text(text)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("people")
    folder = root / "chats"
    folder.mkdir()
    _write(folder)
    exact = {"similarity": None, "benchmark": None}
    ingest = {"sources": [str(folder)], "languages": [], "near_duplicates": exact}
    run = begin_run(minimal_recipe(str(root / "lake"), ingest=ingest))
    records, sessions = drive(run, IngestStage()), drive(run, AssembleStage())
    rows = list(run.lake.dataset("conversations", run.name).rows())
    return {"records": records, "sessions": sessions, "rows": rows}


def test_every_whole_conversation_comes_in_as_it_was(published: dict[str, Any]) -> None:
    expected = Counter(
        marked
        for number in range(len(EXAMPLES))
        for n in range(WHOLE)
        for marked in (f"Rust{number}x{n}", f"Rustcut{number}x{n}")
    )
    expected["Rustrows"] += 1
    found = Counter(
        row["messages"][0]["content"][len("What is ") : -1] for row in published["rows"]
    )
    assert found == expected
    for row in published["rows"]:
        assert [message["content"] for message in row["messages"]][1:] == TEXTS[1:]


def test_one_account_says_what_came_in_what_was_lost_and_why(published: dict[str, Any]) -> None:
    records = published["records"]
    by_layout = Counter(layout for _, layout, _ in _one_of_each())
    assert records.metrics["layouts"].keys() == LAYOUTS.keys()
    for layout, files in by_layout.items():
        whole = 2 * WHOLE * files + (layout == "oasst")
        assert records.metrics["layouts"][layout] == whole + files  # and a broken line each
    assert records.metrics["passed_over"] == {"empty": 1, "hidden": 1, "metadata": 1, "readme": 1}
    rejected = records.accounting.rejected
    assert rejected == {"malformed_record": len(EXAMPLES), "unreadable_file": 2}
    for warning in records.warnings:
        assert "\n" not in warning
        assert len(warning) < 700
    said = " ".join(records.warnings)
    assert said.count("cut off") == len(EXAMPLES)
    assert said.count("1 place holds no whole record") == len(EXAMPLES)
    assert "odd.json: found" in said
    assert "page.json: HTML" in said
    assert published["sessions"].accounting.rejected == {}
