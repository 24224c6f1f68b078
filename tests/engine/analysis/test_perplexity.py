"""Parrot-Ask's surprise at follow-ups: a mean a token, the same again, over what can be scored."""

import math
from pathlib import Path

import pytest

from parrot_core.analysis.statistics.perplexity import asker_likeness
from parrot_core.analysis.statistics.reading import open_sessions
from parrot_core.errors import UserError
from tests.support.lakes.finished_run import full_run
from tests.support.training.tiny_model import VOCABULARY, build_tiny_model

pytestmark = pytest.mark.engine


def test_both_sides_are_scored_and_what_cannot_be_is_counted(tmp_path: Path) -> None:
    """A model that knows nothing is surprised by the size of its vocabulary."""
    folder = build_tiny_model(tmp_path / "model")
    source = tmp_path / "sessions.jsonl"
    too_long = "why does it " * 2000
    source.write_text(
        "".join(
            '{"messages": [{"role": "user", "content": "What is a comet?"}, '
            '{"role": "assistant", "content": "A ball of ice that grows a tail near the sun."}, '
            f'{{"role": "user", "content": "{query}"}}, '
            '{"role": "assistant", "content": "Because the sun melts it."}]}\n'
            for query in ("Why does it have a tail?", "And in winter, does it lose it?", too_long)
        )
    )
    lake = full_run(tmp_path)
    ours, human = open_sessions(lake, str(source)), open_sessions(lake, "dialogues")
    found = asker_likeness(folder, "tiny", ours, human, 1)
    assert [figure.name for figure in found.figures] == ["asker_nll", "asker_nll_human"]
    assert found.figures[0].value == pytest.approx(math.log(VOCABULARY), rel=0.15)
    assert all(figure.value for figure in found.figures)
    assert any("1 of its queries" in note for note in found.notes), found.notes


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    sessions = open_sessions(full_run(tmp_path), "dialogues")
    with pytest.raises(UserError, match=r"no config\.json"):
        asker_likeness(tmp_path, "none", sessions, None, 1)
