"""Reference pages say what the code does."""

import json
import re
from pathlib import Path

from parrot_core import load_recipe, preview, run
from parrot_core.report.reference_pages import pages
from tests.support.servers.fake_api import serving

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def test_pages_made_from_the_code_are_up_to_date() -> None:
    for name, text in pages().items():
        assert (REFERENCE / name).read_text(encoding="utf-8") == text, f"{name}: run make docs"


def layout() -> re.Pattern[str]:
    """All paths that the page on the lake's layout names, as one pattern."""
    page = (REFERENCE / "lake-layout.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    paths = [path for row in rows for path in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    escaped = [re.escape(path).replace("…", ".+") for path in paths]
    return re.compile("|".join(re.sub(r"\b[A-Z]+\b", "[^/]+", path) for path in escaped))


def test_every_file_of_a_run_is_in_the_layout_of_the_lake(tmp_path: Path) -> None:
    queries = [f"What should one see in town number {number}?" for number in range(6)]
    chats = [{"id": f"s{n}", "conversations": [
        {"from": "human", "value": query}, {"from": "gpt", "value": "The harbour."}
    ]} for n, query in enumerate(queries)]  # fmt: skip
    (tmp_path / "chats.json").write_text(json.dumps([*chats, {"id": "broken"}]))
    with serving() as api:
        engine = {"kind": "openai", "model": "m", "base_url": api.base_url, "api_key_env": None}
        written = {
            "name": "here",
            "lake": str(tmp_path / "lake"),
            "engines": {"asker": engine, "answerer": engine},
            "ingest": {"sources": [str(tmp_path / "chats.json")], "seed_fraction": 0.9},
            "synthesize": {"max_turns": 2},
        }
        (tmp_path / "recipe.yaml").write_text(json.dumps(written))
        recipe = load_recipe(tmp_path / "recipe.yaml")
        run(recipe, until="seeds")
        preview(recipe, number=1)
        run(recipe, only=["synthesize"])
    known, root = layout(), tmp_path / "lake"
    files = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    assert len(files) > 30
    assert [file for file in files if not known.fullmatch(file)] == []
