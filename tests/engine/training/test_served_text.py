"""What is trained is what vLLM renders, token by token, for every family of templates."""

from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from parrot_core.recipe import TrainAsk, TrainSft
from parrot_core.stages.training.job import TrainingJob
from tests.support.training.family_tokenizers import FAMILIES, TEMPLATES
from tests.support.training.trl_templates import NAMES, tokenizer_of

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(find_spec("vllm") is None, reason="needs vLLM"),
]
SESSION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is it?"},
    {"role": "assistant", "content": "A parrot.\n\n- It talks."},
    {"role": "user", "content": "And in winter? 12345"},
    {"role": "assistant", "content": "好的, yes."},
    {"role": "user", "content": "Thanks!"},
]


class TextModel:
    """A model's configuration, in which whatever the server asks for is unset."""

    hf_config = SimpleNamespace(model_type="llama")

    def __getattr__(self, name):
        return None


def served(tokenizer, messages):
    """The prompt's tokens, as vLLM's server makes them of a request's messages."""
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.renderers.chat_utils import parse_chat_messages
    from vllm.renderers.hf import resolve_chat_template_content_format, safe_apply_chat_template

    config = TextModel()
    form = resolve_chat_template_content_format(None, None, "auto", tokenizer, model_config=config)
    conversation, *_ = parse_chat_messages(messages, config, content_format=form)
    text = safe_apply_chat_template(
        config, tokenizer, conversation, tokenize=False, add_generation_prompt=True
    )
    request = ChatCompletionRequest(messages=messages, model="x")
    return tokenizer(text, add_special_tokens=request.add_special_tokens)["input_ids"]


@pytest.mark.parametrize("kind", ["ask", "sft"])
@pytest.mark.parametrize("name", [*FAMILIES, *(f"trl:{name}" for name in NAMES)])
def test_the_server_asks_for_a_turn_with_the_tokens_that_the_trainer_saw_before_it(
    tmp_path, name, kind
):
    from transformers import AutoTokenizer

    from parrot_core.stages.training.examples import prepare_tokenizer

    made = FAMILIES[name]() if name in FAMILIES else tokenizer_of(name.removeprefix("trl:"))
    made.save_pretrained(tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    recipe = TrainAsk if kind == "ask" else TrainSft
    settings = recipe(base="x", template=TEMPLATES.get(name, "auto"))
    job = TrainingJob(
        kind=kind, model="x", folder=tmp_path, settings=settings, seed=1, data_sha256=""
    )
    markup = prepare_tokenizer(job, tokenizer)
    tokenizer.save_pretrained(tmp_path / "published")
    published = AutoTokenizer.from_pretrained(tmp_path / "published")
    role = "user" if kind == "ask" else "assistant"
    start = 0 if "system" in markup.turns else 1
    encoded = tokenizer.apply_chat_template(
        SESSION[start:], return_dict=True, return_assistant_tokens_mask=True
    )
    trained, learned = encoded["input_ids"], encoded["assistant_masks"]
    turns = [n for n in range(start + 1, len(SESSION)) if SESSION[n]["role"] == role]
    for turn in turns:
        if turn == 1 and start == 0:
            continue  # nobody asks for an opening query after a system message alone
        prompt = served(published, SESSION[start:turn])
        assert trained[: len(prompt)] == prompt
        assert learned[len(prompt)]
        assert not learned[len(prompt) - 1]
    stop = published.convert_tokens_to_ids(markup.stop)
    said = [id for id, learnt in zip(trained, learned, strict=True) if learnt]
    assert said[-1] == stop == published.eos_token_id
