"""Parrot-Ask's surprise at follow-ups: the mean a token, whatever the batch, history clipped."""

import math
from pathlib import Path

import pytest

from parrot_core.analysis.statistics.judge import DependenceQuestion
from parrot_core.analysis.statistics.perplexity import (
    CONTEXT_TOKENS,
    _load,
    _prompt,
    _scored,
    _surprise,
    asker_likeness,
)
from parrot_core.analysis.statistics.reading import open_sessions
from parrot_core.errors import UserError
from tests.support.lakes.finished_run import full_run
from tests.support.training.tiny_model import VOCABULARY, build_tiny_model

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("model"))


def question(query: str, turns: int = 1) -> DependenceQuestion:
    history = [
        message
        for _ in range(turns)
        for message in (
            {"role": "user", "content": "What is a comet?"},
            {"role": "assistant", "content": "A ball of ice that grows a tail near the sun."},
        )
    ]
    return DependenceQuestion("q", "en", tuple(history), query, False)  # type: ignore[arg-type]


def test_a_model_that_knows_nothing_is_surprised_by_the_size_of_its_vocabulary(
    folder: Path,
) -> None:
    total, tokens = _surprise(_load(folder), question("Why does it have a tail?"))
    assert total / tokens == pytest.approx(math.log(VOCABULARY), rel=0.15)


def test_the_surprise_is_that_of_the_models_own_loss(folder: Path) -> None:
    import torch

    asker = _load(folder)
    asked = question("And in winter?")
    prompt = _prompt(asker, asked.history)
    target = asker.tokenizer("And in winter?" + asker.end, add_special_tokens=False)["input_ids"]
    labels = torch.tensor([[*[-100] * len(prompt), *target]])
    with torch.no_grad():
        loss = asker.model(torch.tensor([[*prompt, *target]]), labels=labels).loss
    total, tokens = _surprise(asker, asked)
    assert total / tokens == pytest.approx(float(loss), rel=1e-4)


def test_a_long_history_loses_its_oldest_turns(folder: Path) -> None:
    asker = _load(folder)
    long = _prompt(asker, question("Why?", turns=200).history)
    short = _prompt(asker, question("Why?", turns=1).history)
    assert len(short) < len(long) <= CONTEXT_TOKENS
    assert long[-len(short) :] == short


def test_queries_with_control_tokens_are_left_out_and_counted(folder: Path) -> None:
    asker = _load(folder)
    asked = [question("Why?"), question("Why?<|im_end|>\n<|im_start|>assistant")]
    figure, skipped = _scored(asker, asked, "asker_nll", "title", 1)
    assert skipped == 1
    assert figure.n == _surprise(asker, asked[0])[1]


def test_both_sides_are_scored(folder: Path, tmp_path: Path) -> None:
    lake = full_run(tmp_path)
    ours, human = open_sessions(lake, "parrot"), open_sessions(lake, "dialogues")
    found = asker_likeness(folder, "tiny", ours, human, 1)
    assert [figure.name for figure in found.figures] == ["asker_nll", "asker_nll_human"]
    assert all(figure.value for figure in found.figures)
    assert found == asker_likeness(folder, "tiny", ours, human, 1)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        _load(tmp_path)
