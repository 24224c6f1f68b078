"""A bare user turn: the model's own weights and turns, opened for the user."""

import pytest

from parrot_core.errors import UserError
from parrot_core.stages.training.bare_turn import bare_user_model
from tests.support.training.tiny_model import build_tiny_tokenizer

transformers = pytest.importorskip("transformers")


def source_of(folder, **changes):
    folder.mkdir()
    tokenizer = build_tiny_tokenizer()
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_the_same_weights_open_a_user_turn_where_the_model_opened_an_answer(tmp_path):
    source = source_of(tmp_path / "model")
    bare = bare_user_model(source, tmp_path / "work" / "bare")
    assert (bare / "model.safetensors").resolve() == source / "model.safetensors"
    tokenizer = transformers.AutoTokenizer.from_pretrained(bare)
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    shown = tokenizer.apply_chat_template(history, tokenize=False, add_generation_prompt=True)
    assert shown.endswith("<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\n")
    assert tokenizer.eos_token == "<|im_end|>"
    assert bare_user_model(source, bare) == bare


def test_a_template_that_cannot_be_proved_leaves_no_half_made_model(tmp_path):
    source = source_of(tmp_path / "model", chat_template="{{ 'no messages here' }}")
    with pytest.raises(UserError, match="can't be proved"):
        bare_user_model(source, tmp_path / "work" / "bare")
    assert list((tmp_path / "work").iterdir()) == []
