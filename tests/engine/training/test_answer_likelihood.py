"""Answers scored as one tree have the likelihood they have alone, computed the plain way."""

import pytest

from parrot_core.recipe import HistoryGain
from parrot_core.stages.capo.history_gain import HistoryGains
from parrot_core.stages.capo.negatives import ContextQuery
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine

PROMPT = [
    {"role": "user", "content": "What is the capital of France?"},
    {"role": "assistant", "content": "The capital of France is Paris."},
    {"role": "user", "content": "And in winter?"},
]
ANSWERS = [
    [{"role": "assistant", "content": text}]
    for text in ("In winter it is colder.", "Please write a poem about the sea.", "Paris.")
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def test_a_tree_gives_each_answer_its_own_likelihood(model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from parrot_core.stages.training.answer_likelihood import AnswerLikelihood

    found = AnswerLikelihood(model, 512).score(PROMPT, ANSWERS)
    tokenizer = AutoTokenizer.from_pretrained(model)
    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    opening = tokenizer.apply_chat_template(PROMPT, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer(opening, add_special_tokens=False)["input_ids"]
    for answer, (total, tokens) in zip(ANSWERS, found, strict=True):
        text = answer[0]["content"] + "<|im_end|>"
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = plain(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        logps = logits.log_softmax(-1)[range(len(ids)), ids]
        assert tokens == len(ids)
        assert total == pytest.approx(float(logps.sum()), abs=1e-3)


def test_the_oldest_turns_go_first_and_what_cannot_fit_is_told(model):
    from parrot_core.stages.training.answer_likelihood import AnswerLikelihood

    whole = AnswerLikelihood(model, 512).score(PROMPT, ANSWERS)
    assert whole is not None
    assert AnswerLikelihood(model, 40).score(PROMPT, ANSWERS) not in (None, whole)
    assert AnswerLikelihood(model, 8).score(PROMPT, ANSWERS) is None


def test_what_the_history_adds_to_an_answer_and_to_a_margin_is_read_off_two_prompts(
    model, tmp_path
):
    from parrot_core.stages.training.answer_likelihood import AnswerLikelihood

    *history, last = PROMPT
    chosen, rejected = (answer[0]["content"] for answer in ANSWERS[:2])
    query = ContextQuery("q", "en", 2, tuple(history), last["content"], chosen)
    gains = HistoryGains(HistoryGain(model=str(model), max_length=512), model, tmp_path)
    scorer = AnswerLikelihood(model, 512)
    own, alone = (
        [total / tokens for total, tokens in scorer.score(prompt, ANSWERS[:2])]
        for prompt in (PROMPT, [last])
    )
    found = gains.of_answers([query])["q"]
    assert found == pytest.approx(own[0] - alone[0], abs=1e-4)
    margin = gains.of_margins({"q": (query, {"neglect": rejected})})["q", "neglect"]
    assert margin == pytest.approx(found - (own[1] - alone[1]), abs=1e-4)
