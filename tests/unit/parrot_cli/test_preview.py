import json
import sys
from pathlib import Path

import pytest
import yaml

from parrot_cli.main import main
from tests.support.servers.fake_api import Reply, serving


def test_dialogues_from_given_openings_are_shown_and_nothing_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = tmp_path / "lake"
    with serving(lambda n, body: Reply(f"said [b]{n}[/b] \x1b[31m")) as api:
        engine = {"kind": "openai", "model": "m", "base_url": api.base_url, "api_key_env": None}
        recipe = {
            "name": "r",
            "lake": str(lake),
            "engines": {"asker": engine, "answerer": engine},
            "synthesize": {"max_turns": 2, "min_turns": 1},
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe))
        asked = ["--query", "How tall is a giraffe?", "--query", "Why?"]
        monkeypatch.setattr(sys, "argv", ["parrot", "preview", str(path), *asked])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr().out
        monkeypatch.setattr(sys, "argv", ["parrot", "preview", str(path), *asked, "--json"])
        with pytest.raises(SystemExit):
            main()
        again = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert shown.index("How tall is a giraffe?") < shown.index("said [b]1[/b]")
    assert "\x1b" not in shown
    assert "2 rows made, 0 rejected. 6 answers bought" in shown
    assert [path.name for path in lake.iterdir()] == ["previews"]
    assert (len(again["rows"]), again["bought"]) == (2, 0)  # the same are not bought again
