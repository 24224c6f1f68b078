"""Figures of the end mark, against what can be counted by hand."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.training.end_figures import figures_of
from parrot_core.stages.training.markup import markup_of
from parrot_core.stages.training.session_end import measure_end
from parrot_core.stages.training.templates import chat_template
from parrot_core.text.control_tokens import END_OF_SESSION
from tests.support.training.tiny_model import build_tiny_tokenizer

places = st.tuples(st.integers(2, 5), st.booleans(), st.floats(0, 1))


def test_precision_recall_f1_and_auc_are_those_counted_by_hand():
    judged = [(2, False, 0.1), (2, True, 0.9), (3, False, 0.6), (3, True, 0.2), (4, True, 0.7)]
    found = figures_of(judged)
    assert found["base_rate"] == 0.6
    assert found["precision"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["recall"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["f1"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["f1_always"] == 0.75
    assert found["auc"] == pytest.approx(5 / 6, abs=1e-4)
    assert found["by_turn"]["2"] == {"places": 2, "ends": 1, "probability": 0.5, "auc": 1}
    assert found["by_turn"]["4"]["auc"] is None


@given(st.lists(places, max_size=20))
def test_figures_of_anything_are_shares_or_nothing(judged):
    found = figures_of(judged)
    for name in ("base_rate", "precision", "recall", "f1", "f1_always", "auc"):
        assert found[name] is None or 0 <= found[name] <= 1
    assert sum(turn["places"] for turn in found["by_turn"].values()) == found["places"]


@given(st.lists(places, min_size=1, max_size=20))
def test_an_asker_that_knows_is_told_from_one_that_guesses(judged):
    knows = figures_of([(turn, ended, float(ended)) for turn, ended, _ in judged])
    guesses = figures_of([(turn, ended, 0.5) for turn, ended, _ in judged])
    assert knows["auc"] in (None, 1.0)
    assert guesses["auc"] in (None, 0.5)
    assert guesses["f1"] == guesses["f1_always"] or not guesses["f1_always"]


class KnowsTheEnd:
    """Stands for a model that is certain of the mark after a thanks, and of nothing else."""

    device, training = torch.device("cpu"), True

    def __init__(self, tokenizer, thanks):
        self._tokenizer, self._thanks = tokenizer, thanks

    def eval(self):
        self.training = False

    def train(self, mode):
        self.training = mode

    def __call__(self, input_ids, use_cache, logits_to_keep):
        assert not self.training
        ids = input_ids[0].tolist()
        text = self._tokenizer.decode(ids[: len(ids) - logits_to_keep + 1])
        logits = torch.zeros(1, logits_to_keep, len(self._tokenizer))
        if self._thanks in text:
            mark = self._tokenizer(f"{END_OF_SESSION}<|im_end|>")["input_ids"]
            assert ids[len(ids) - logits_to_keep + 1 :] == mark[:-1]
            for place, token in enumerate(mark):
                logits[0, place, token] = 50.0
        return SimpleNamespace(logits=logits)


def test_the_mark_is_looked_for_wherever_the_user_may_speak_but_at_the_opening():
    tokenizer = build_tiny_tokenizer()
    markup = markup_of(tokenizer, "user")
    tokenizer.chat_template = chat_template(markup, "user")
    texts = ["What is it?", "A parrot.", "Is it?", "You are welcome.", END_OF_SESSION]
    roles = ("user", "assistant")
    session = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    model = KnowsTheEnd(tokenizer, "You are welcome.")
    found = measure_end(model, tokenizer, markup, [{"messages": session}])
    assert model.training
    assert (found["places"], found["f1"], found["auc"]) == (2, 1.0, 1.0)
    assert found["by_turn"] == {
        "2": {"places": 1, "ends": 0, "probability": 0.0, "auc": None},
        "3": {"places": 1, "ends": 1, "probability": 1.0, "auc": None},
    }
    learned_before = [{**m, "learn": False} for m in session[:-1]] + session[-1:]
    assert measure_end(model, tokenizer, markup, [{"messages": learned_before}])["places"] == 1
