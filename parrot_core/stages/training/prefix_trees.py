"""Lay preference pairs out as trees: one prompt, one branch for each distinct answer to it.

CaPO's three pairs of a query (Sun et al. 2024, §3.3) have one prompt and one chosen answer. As
pairs that is six sequences with the same prompt; as a tree it is ``prompt + chosen + rejected_1 +
rejected_2 + rejected_3``, where an answer sees the prompt and itself, at the positions that it has
right after the prompt. Every token is computed once, and the figures are those of the pairs.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import FusedCausalLMOutput

IGNORED = -100
SHARED, PADDING = 0, -1  # segments; branches are 1, 2, …


@dataclass(slots=True)
class PrefixTree:
    """A prompt and the answers to it, as one sequence.

    Each branch begins with a copy of the prompt's last token, which predicts the answer's first
    one: so every position has at most one token to predict. An answer's own last token predicts
    nothing and is not in the sequence.
    """

    prompt: list[int]
    ids: list[int] = field(init=False)
    positions: list[int] = field(init=False)
    segments: list[int] = field(init=False)
    labels: list[int] = field(init=False)  # the next token, not the position's own
    _starts: dict[tuple[int, ...], int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not self.prompt:
            raise ValueError("an empty prompt; expected at least one token before an answer")
        self.ids = self.prompt[:-1]
        self.positions = list(range(len(self.ids)))
        self.segments = [SHARED] * len(self.ids)
        self.labels = [IGNORED] * len(self.ids)

    def branch(self, answer: list[int]) -> int:
        """Add an answer unless it is there; return where its branch begins."""
        key = tuple(answer)
        if key not in self._starts:
            self._starts[key] = len(self.ids)
            first = len(self.prompt) - 1
            self.ids += [self.prompt[-1], *answer][: len(answer)]
            self.positions += range(first, first + len(answer))
            self.segments += [len(self._starts)] * len(answer)
            self.labels += answer
        return self._starts[key]


@dataclass
class PrefixTreeCollator(DataCollatorForPreference):
    """TRL's batch of pairs, and the same pairs as trees.

    To the batch of n pairs that :class:`DataCollatorForPreference` makes, of width L, it adds for
    the g trees, padded to a width of T: ``tree_ids``, ``tree_positions``, ``tree_segments`` and
    ``tree_labels``, each (g, T); and ``tree_index`` (2n, L - 1), where in the flattened trees the
    token after a position of the pairs is predicted, or -1. ``attention_mask`` becomes the trees'
    (g, T), so that what the trainer counts are tokens computed.
    """

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Collate pairs of ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``."""
        batch: dict[str, Any] = super().torch_call(examples)
        numbers: dict[tuple[int, ...], int] = {}
        trees: list[PrefixTree] = []
        places: list[tuple[int, int, int, int]] = []  # prompt's length, tree, start, answer's
        for side in ("chosen_ids", "rejected_ids"):
            for example in examples:
                prompt = example["prompt_ids"]
                number = numbers.setdefault(tuple(prompt), len(trees))
                if number == len(trees):
                    trees.append(PrefixTree(prompt))
                answer = example[side]
                if self.max_length is not None:
                    answer = answer[: max(0, self.max_length - len(prompt))]
                places.append((len(prompt), number, trees[number].branch(answer), len(answer)))
        batch |= {
            "tree_ids": _padded([tree.ids for tree in trees], self.pad_token_id),
            "tree_positions": _padded([tree.positions for tree in trees], 0),
            "tree_segments": _padded([tree.segments for tree in trees], PADDING),
            "tree_labels": _padded([tree.labels for tree in trees], IGNORED),
        }
        width = batch["tree_ids"].shape[1]
        rows, columns = batch["input_ids"].shape
        index = torch.full((rows, columns - 1), -1)
        for row, (prompt_length, number, start, length) in enumerate(places):
            first = number * width + start
            index[row, prompt_length - 1 : prompt_length - 1 + length] = torch.arange(
                first, first + length
            )
        batch["tree_index"] = index
        batch["attention_mask"] = (batch["tree_segments"] != PADDING).long()
        return batch


def _padded(rows: list[list[int]], value: int) -> torch.Tensor:
    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


def tree_mask(segments: torch.Tensor) -> torch.Tensor:
    """Who sees whom: what came before, of the shared prompt or of the own branch.

    Args:
        segments: (g, T), as the collator makes them. Padding sees something too, since a row that
            sees nothing would have no softmax; nobody sees padding but padding.

    Returns:
        (g, 1, T, T), True where the query (third axis) sees the key: transformers takes a mask of
        four dimensions as it is.
    """
    query, key = segments[:, :, None], segments[:, None, :]
    width = segments.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool, device=segments.device).tril()
    return (((key == query) | (key == SHARED)) & causal)[:, None]


class AsPairs:
    """Calls a model on the trees of a batch, and answers in the batch's layout of pairs.

    A stand-in for the model where ``DPOTrainer`` scores a batch: what TRL then computes from the
    figures, losses and metrics alike, is TRL's own. ``logps`` keeps the last call's sums, (2n).
    """

    def __init__(self, model: Any) -> None:
        """Stand in for ``model``, which has TRL's fused head; it may be wrapped by DDP or FSDP."""
        self._model = model
        self.logps: torch.Tensor | None = None

    def __call__(self, *, labels: torch.Tensor, **inputs: Any) -> FusedCausalLMOutput:
        """Score a batch; without trees in it, as it is."""
        if "tree_ids" in inputs:
            output = self._score_trees(inputs)
        else:
            output = self._model(labels=labels, **inputs)
        assert output.log_probs is not None
        self.logps = output.log_probs.detach().sum(1)
        return output

    def _score_trees(self, inputs: dict[str, Any]) -> FusedCausalLMOutput:
        index = inputs.pop("tree_index")
        of_pairs = {"input_ids", "attention_mask"}
        rest = {
            name: value
            for name, value in inputs.items()
            if name not in of_pairs and not name.startswith("tree_")
        }
        figures = self._model(
            input_ids=inputs["tree_ids"],
            attention_mask=tree_mask(inputs["tree_segments"]),
            position_ids=inputs["tree_positions"],
            shift_labels=inputs["tree_labels"],
            **rest,
        )
        mask = index >= 0
        spread = {
            name: figure.reshape(-1)[index.clamp(min=0)].masked_fill(~mask, 0)
            for name, figure in figures.items()
            if figure is not None and figure.shape == inputs["tree_ids"].shape
        }
        return FusedCausalLMOutput(**spread | {"label_mask": mask})
