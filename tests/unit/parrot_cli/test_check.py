import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from parrot_cli.main import main
from tests.support.servers.fake_api import Reply, serving


def recipe(folder: Path, **engines: Any) -> str:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "r", "lake": str(folder / "lake"), "engines": engines}))
    return str(path)


def parrot(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["parrot", *arguments])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_table_shows_what_each_api_makes_of_our_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as api:
        good = {"kind": "openai", "model": "m", "base_url": api.base_url, "api_key_env": None}
        local = {"kind": "vllm", "model": "some/model"}
        path = recipe(tmp_path, answerer=good, asker=local)
        assert parrot(monkeypatch, "check", path) == 0
        shown = capsys.readouterr().out
        assert "synthesize.answer" in shown
        assert "not asked: asker" in shown
        assert "price of answerer unknown" in shown
        assert max(map(len, shown.splitlines())) <= 80
        assert not (tmp_path / "lake").exists()


def test_a_refusal_is_shown_in_the_providers_words_and_sets_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Reply(status=400, error={"message": "no top_p here", "param": "top_p"})
    with serving(lambda n, body: refused if "top_p" in body else Reply("Hello.")) as api:
        bad = {"kind": "openai", "model": "m", "base_url": api.base_url, "api_key_env": None}
        mended = {**bad, "request": {"top_p": None}}
        path = recipe(tmp_path, answerer=bad, asker=mended)
        assert parrot(monkeypatch, "check", path, "--json") == 2
    found = {each["engine"]: each for each in json.loads(capsys.readouterr().out)}
    assert "no top_p here" in found["answerer"]["error"]
    assert "request.top_p=null" in found["answerer"]["error"]
    assert found["asker"]["accepted"] is True
    assert "top_p" not in found["asker"]["sent"]


def test_an_engine_that_the_recipe_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe(tmp_path, answerer={"kind": "vllm", "model": "m"})
    assert parrot(monkeypatch, "check", path, "--engine", "answeror") == 2
    said = capsys.readouterr()
    assert "did you mean 'answerer'?" in f"{said.out}{said.err}".replace("\n", " ")
