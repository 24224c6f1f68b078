import pytest

from parrot_core.errors import UserError
from parrot_core.stages.training.markup import markup_of
from parrot_core.stages.training.templates import chat_template
from tests.support.training.tiny_model import build_tiny_tokenizer

SESSION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " What is it? \n"},
    {"role": "assistant", "content": "A parrot."},
    {"role": "user", "content": "And in winter?"},
    {"role": "assistant", "content": "The same."},
]


@pytest.fixture(scope="module")
def tokenizer():
    return build_tiny_tokenizer()


def learned_parts(tokenizer, template, messages=SESSION):
    """The runs of learned tokens, as text, and all of the text."""
    encoded = tokenizer.apply_chat_template(
        messages,
        chat_template=template,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    parts, run = [], []
    for token, learned in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True):
        if learned:
            run.append(token)
        elif run:
            parts.append(tokenizer.decode(run))
            run = []
    return parts + ([tokenizer.decode(run)] if run else []), tokenizer.decode(encoded["input_ids"])


def test_the_asker_learns_every_user_turn_with_its_end_and_nothing_else(tokenizer):
    template = chat_template(markup_of(tokenizer, "user"), "user")
    parts, _ = learned_parts(tokenizer, template)
    assert parts == ["What is it?<|im_end|>", "And in winter?<|im_end|>"]


def test_the_chat_model_learns_every_assistant_turn_with_its_end_and_nothing_else(tokenizer):
    template = chat_template(markup_of(tokenizer, "assistant"), "assistant")
    parts, _ = learned_parts(tokenizer, template)
    assert parts == ["A parrot.<|im_end|>", "The same.<|im_end|>"]


def test_a_conversation_is_rendered_as_it_is_with_no_system_prompt_of_its_own(tokenizer):
    template = chat_template(markup_of(tokenizer, "user"), "user")
    _, text = learned_parts(tokenizer, template, SESSION[1:3])
    assert text == (
        "<|im_start|>user\nWhat is it?<|im_end|>\n<|im_start|>assistant\nA parrot.<|im_end|>"
    )


@pytest.mark.parametrize("learned", ["user", "assistant"])
def test_generation_opens_a_turn_of_the_learned_role_after_what_training_saw(tokenizer, learned):
    template = chat_template(markup_of(tokenizer, learned), learned)
    messages = SESSION[:3] if learned == "user" else SESSION[:2]

    def render(messages, prompt):
        return tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=prompt
        )

    prompt = render(messages, True)
    assert prompt.endswith(f"<|im_start|>{learned}\n")
    assert render(SESSION, False).startswith(prompt)


def test_plain_gives_headings_and_the_tokenizers_end_token():
    class Bare:
        bos_token, eos_token = "<s>", "</s>"

        def get_vocab(self):
            return {"<s>": 0, "</s>": 1}

    markup = markup_of(Bare(), "user", "plain")
    assert (markup.family, markup.prefix, markup.stop) == ("plain", "<s>", "</s>")
    parts, text = learned_parts(build_tiny_tokenizer(), chat_template(markup, "user"), SESSION[1:])
    assert parts == ["What is it?</s>", "And in winter?</s>"]
    assert text.startswith("<s>### User:\n")


def test_a_spelling_whose_tokens_are_missing_is_refused():
    class Endless:
        bos_token = eos_token = None

        def get_vocab(self):
            return {}

    with pytest.raises(UserError, match="expected a tokenizer with an eos_token"):
        markup_of(Endless(), "user", "plain")
    with pytest.raises(UserError, match=r"needs the tokens <\|im_start\|>, <\|im_end\|>"):
        markup_of(Endless(), "user", "chatml")
