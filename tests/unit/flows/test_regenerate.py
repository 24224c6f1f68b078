"""What a regeneration leaves behind: its report in the lake, and an artifact that says the same."""

from pathlib import Path

import pytest

from parrot_core.lake.run import Run
from parrot_core.lake.run_records import report_file
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_state import RUN


def test_the_report_is_in_the_lake_and_its_markdown_an_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import regenerate

    kept: list[tuple[str, str]] = []

    def keep(markdown: str, key: str) -> None:
        kept.append((key, markdown))

    monkeypatch.setattr(regenerate, "create_markdown_artifact", keep)
    lake = full_run(tmp_path / "lake")
    run = Run(RUN, minimal_recipe(str(tmp_path / "lake")), lake, tmp_path / "work")
    place = regenerate.write_report(run)
    assert place == lake.storage.show(report_file(RUN))
    assert b"<h1>demo" in lake.storage.read_bytes(report_file(RUN))
    ((key, markdown),) = kept
    assert key == "regenerate-report"
    assert markdown.startswith("# Run demo")
    assert place in markdown
