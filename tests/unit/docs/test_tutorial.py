"""The tutorial works, as it stands in the docs."""

import re
from pathlib import Path
from typing import Any

import pytest

from parrot_core.lake.lake import Lake
from tests.support.servers.fake_api import Reply, serving

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial.md"
FOLLOW_UPS = (
    "Is it crowded in the summer months?",
    "And how much does a ticket cost for two adults?",
    "Which of those would you skip with a stroller?",
)


def blocks() -> list[str]:
    text = TUTORIAL.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def traveller(number: int, body: dict[str, Any]) -> Reply:
    said = body["messages"]
    if said[0]["content"].startswith("You are playing the role of a user"):
        asked = said[0]["content"].count("\nUser: ")
        return Reply(FOLLOW_UPS[(asked - 1) % len(FOLLOW_UPS)])
    return Reply(f"Most guides agree on point {number}: walk early, and take the tram back.")


def test_every_block_of_the_tutorial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    names: dict[str, Any] = {}
    with serving(traveller) as api:
        monkeypatch.setenv("OPENAI_BASE_URL", api.base_url)
        for block in blocks():
            exec(compile(block, str(TUTORIAL), "exec"), names)
        bought = len(api.requests)
    shown = capsys.readouterr().out
    assert "dialogues 6 in, 6 out" not in shown  # the first run ends before it
    assert "6 dialogues;" in shown
    assert "4 turns" in shown
    made = Lake("lake").dataset("dialogues", "first").manifest
    assert made.usage["chat"].requests <= bought  # what the preview bought wasn't bought again
    assert Lake("lake").dataset("parrot", "first").frame().height
