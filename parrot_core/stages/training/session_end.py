"""How well an asker knows when the user goes, on held-out sessions.

Runs in the training process.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from parrot_core.stages.training.examples import Example
from parrot_core.stages.training.fit import TrainingMessage
from parrot_core.stages.training.markup import Markup
from parrot_core.text.control_tokens import END_OF_SESSION

THRESHOLD = 0.5
"""The asker is taken to end where it gives the mark at least this probability."""

Judged = tuple[int, bool, float]
"""Where the user speaks or goes: the turn, whether the user went, the mark's probability."""


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


def figures_of(judged: Sequence[Judged]) -> dict[str, Any]:
    """Precision, recall and F1 of the mark, AUC of its probability, and what chance would give.

    Args:
        judged: places of held-out sessions; the opening query is none.

    Returns:
        ``places``, ``base_rate`` (of ends), ``precision``, ``recall`` and ``f1`` at
        :data:`THRESHOLD`, ``f1_always`` (of ending everywhere), ``auc`` (0.5 is chance), each None
        where it is of nothing; ``by_turn``: places, ends, and the mark's mean probability.
    """
    ends = [chance for _, ended, chance in judged if ended]
    others = [chance for _, ended, chance in judged if not ended]
    hits = sum(chance >= THRESHOLD for chance in ends)
    alarms = sum(chance >= THRESHOLD for chance in others)
    turns: dict[int, list[Judged]] = defaultdict(list)
    for place in judged:
        turns[place[0]].append(place)
    return {
        "places": len(judged),
        "base_rate": _share(len(ends), len(judged)),
        "precision": _share(hits, hits + alarms),
        "recall": _share(hits, len(ends)),
        "f1": _share(2 * hits, hits + alarms + len(ends)),
        "f1_always": _share(2 * len(ends), len(judged) + len(ends)),
        "auc": _auc(ends, others),
        "by_turn": {
            str(turn): {
                "places": len(found),
                "ends": sum(ended for _, ended, _ in found),
                "probability": round(sum(chance for *_, chance in found) / len(found), 4),
            }
            for turn, found in sorted(turns.items())
        },
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _auc(ends: Sequence[float], others: Sequence[float]) -> float | None:
    """How often an end has the greater probability than another place, ties as half."""
    pairs = len(ends) * len(others)
    if not pairs:
        return None
    higher = sum((end > other) + (end == other) / 2 for end in ends for other in others)
    return round(higher / pairs, 4)
