"""Tokenizers of the model families, trained on the spot: their algorithms, splits and tokens.

The families' own files can't be fetched offline; what matters for a loss mask is how text is
split at a turn's borders, and that is given by the algorithm, the splitting rule and the special
tokens. Those are each family's own here; the vocabulary is small.
"""

from collections.abc import Callable, Sequence

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from tests.support.training.tiny_model import TEXT, VOCABULARY, build_tiny_tokenizer

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
QWEN_TEMPLATE = (
    "{%- if messages[0]['role'] == 'system' %}"
    "{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}"
    "{%- else %}{{- '<|im_start|>system\n" + QWEN_SYSTEM + "<|im_end|>\n' }}{%- endif %}"
    "{%- for m in messages %}{%- if m.role != 'system' or not loop.first %}"
    "{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}"
    "{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
LLAMA2_TEMPLATE = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}"
    "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
    "{% for message in loop_messages %}{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)


def chatml() -> PreTrainedTokenizerFast:
    """SmolLM2's kind: byte-level BPE with ChatML's tokens."""
    return build_tiny_tokenizer()


def qwen() -> PreTrainedTokenizerFast:
    """Qwen 2.5's kind, with the system prompt of its own template."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>"]
    return byte_level(
        QWEN_SPLIT,
        special,
        eos_token="<|im_end|>",
        pad_token=special[0],
        chat_template=QWEN_TEMPLATE,
    )


def llama3() -> PreTrainedTokenizerFast:
    """Llama 3's kind."""
    special = [
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
        "<|reserved_special_token_0|>",
    ]
    return byte_level(LLAMA3_SPLIT, special, bos_token=special[0], eos_token=special[1])


def gpt2() -> PreTrainedTokenizerFast:
    """A base model's: byte-level BPE, and an end-of-text token alone."""
    return byte_level(None, ["<|endoftext|>"], eos_token="<|endoftext|>")


def llama2() -> PreTrainedTokenizerFast:
    """Llama-2-Chat's kind: SentencePiece BPE with byte fall-back, spaces as part of words."""
    return _sentencepiece(LLAMA2_TEMPLATE)


def llama2_base() -> PreTrainedTokenizerFast:
    """Llama-2's: the same vocabulary, and no chat template."""
    return _sentencepiece(None)


FAMILIES: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "chatml": chatml,
    "qwen": qwen,
    "llama3": llama3,
    "llama2": llama2,
    "plain": gpt2,
    "plain-llama2": llama2_base,
}


TEMPLATES = {"plain": "plain", "plain-llama2": "plain", "llama3": "llama3"}
"""What a recipe sets for those that have no chat template of their own."""


def byte_level(split: str | None, special: Sequence[str], **named: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE with the given splitting rule and special tokens."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)
    tokenizer.pre_tokenizer = (
        byte_level
        if split is None
        else pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(split), behavior="isolated"), byte_level]
        )
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def _sentencepiece(template: str | None) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    special = [AddedToken(text, special=True) for text in ("<unk>", "<s>", "</s>")]
    raw = [AddedToken(f"<0x{n:02X}>", special=False, normalized=False) for n in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[*special, *raw], show_progress=False
    )
    # SentencePiece learns no piece that goes on over a space: train on words.
    words = [word for line in TEXT for word in line.split()]
    tokenizer.train_from_iterator(words, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        chat_template=template,
    )
