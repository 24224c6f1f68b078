"""The chat templates that TRL has a training variant of, each with a tokenizer made on the spot."""

import re
from functools import cache
from pathlib import Path

import trl
from transformers import PreTrainedTokenizerFast

from tests.support.training.family_tokenizers import QWEN_SPLIT, byte_level

FOLDER = Path(trl.__file__).parent / "chat_templates"
NAMES = tuple(
    sorted(path.name.removesuffix("_training.jinja") for path in FOLDER.glob("*_training.jinja"))
)
TOKENS = re.compile(
    r"<\|[\w ./-]+\|>|<\|\w+>|<\w+\|>|<｜[\w▁ ]+｜>|</?(?:s|bos|think|image)>|\[gMASK\]|<sop>"
    r"|<(?:start|end)_of_(?:turn|image|utterance)>"
)
BEGINNINGS = ("<bos>", "<s>", "<|begin_of_text|>", "<BOS_TOKEN>", "<｜begin▁of▁sentence｜>")
ENDS = ("</s>", "<end_of_turn>", "<｜end▁of▁sentence｜>")


def source(name: str) -> str:
    """A template as TRL ships it; ``NAME_training`` is its training variant."""
    return (FOLDER / f"{name}.jinja").read_text(encoding="utf-8")


@cache
def tokenizer_of(name: str) -> PreTrainedTokenizerFast:
    """A tokenizer that has the template's tokens, its beginning and its end of a text."""
    found = sorted(set(TOKENS.findall(source(name))))
    bos = next((token for token in BEGINNINGS if token in found), "<bos>")
    eos = next((token for token in ENDS if token in found), "<eos>")
    special = dict.fromkeys(["<unk>", bos, eos, *found])
    return byte_level(
        QWEN_SPLIT,
        list(special),
        bos_token=bos,
        eos_token=eos,
        pad_token=eos,
        chat_template=source(name),
    )
