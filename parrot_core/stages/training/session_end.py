"""How well an asker predicts the end of held-out sessions.

Runs in the training process.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from parrot_core.stages.training.end_figures import Judged, figures_of
from parrot_core.stages.training.examples import Example
from parrot_core.stages.training.fit import TrainingMessage
from parrot_core.stages.training.markup import Markup
from parrot_core.text.control_tokens import END_OF_SESSION


def measure_end(
    model: Any, tokenizer: PreTrainedTokenizerBase, markup: Markup, heldout: Sequence[Example]
) -> dict[str, Any]:
    """Figures of the mark as a detector of the end, see :func:`figures_of`."""
    turn = markup.turns["user"]
    mark: list[int] = tokenizer(turn.lead + END_OF_SESSION + turn.end, add_special_tokens=False)[
        "input_ids"
    ]
    was_training = model.training
    model.eval()
    judged: list[Judged] = []
    for example in heldout:
        messages = example["messages"]
        for place, message in enumerate(messages):
            if place and message["role"] == "user" and message.get("learn", True):
                number = 1 + sum(before["role"] == "user" for before in messages[:place])
                ended = message["content"] == END_OF_SESSION
                chance = _chance(model, tokenizer, messages[:place], mark)
                judged.append((number, ended, chance))
    model.train(was_training)
    return figures_of(judged)


def _chance(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    history: Sequence[TrainingMessage],
    mark: list[int],
) -> float:
    """The probability of the whole mark, its end token included, after a history."""
    turns: list[Any] = list(history)
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    prompt: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[*prompt, *mark[:-1]]], device=model.device)
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=len(mark)).logits[0]
    logps = torch.log_softmax(logits.float(), dim=-1)
    wanted = torch.tensor(mark, device=model.device)
    return float(logps.gather(1, wanted[:, None]).sum().exp())
