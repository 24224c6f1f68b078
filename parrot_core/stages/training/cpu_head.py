"""Score only the labelled positions on a CPU (runs in the training process).

Off the GPU, TRL projects every position onto the vocabulary, in float32, and again in the backward
pass. With the loss on one role's tokens most of that work is for nothing. The forward here keeps
TRL's contract (``model(..., labels=…, fused_lm_head=True)``, or ``shift_labels``, which need no
shift) and scores labelled positions alone.
"""

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import trl.trainer.dpo_trainer
import trl.trainer.sft_trainer
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from trl.trainer.utils import FusedCausalLMOutput

ROWS_AT_ONCE = 1024  # rows × vocabulary × 4 bytes is what a chunk of logits takes
_MODULES: tuple[Any, ...] = (trl.trainer.sft_trainer, trl.trainer.dpo_trainer)


@contextmanager
def labelled_positions_only() -> Iterator[None]:
    """Trainers built in this block score labelled positions only, if they train on a CPU."""
    if torch.cuda.is_available():
        yield
        return
    originals = [module.add_fused_lm_head for module in _MODULES]
    for module in _MODULES:
        module.add_fused_lm_head = add_head
    try:
        yield
    finally:
        for module, original in zip(_MODULES, originals, strict=True):
            module.add_fused_lm_head = original


def add_head(model: Any, outputs: tuple[str, ...] = ("log_probs",)) -> None:
    """Give a causal language model the forward described above; ``outputs`` as in TRL."""
    plain_forward = model.forward

    def forward(
        self: Any,
        *args: Any,
        fused_lm_head: bool = False,
        labels: torch.Tensor | None = None,
        shift_labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        if not fused_lm_head or (labels is None and shift_labels is None):
            named = {"labels": labels, "shift_labels": shift_labels}
            labelled = {name: value for name, value in named.items() if value is not None}
            return plain_forward(*args, **kwargs, **labelled)
        # A cache would let packed samples see each other on the CPU.
        kwargs["use_cache"] = False
        hidden = self.base_model(*args, **kwargs).last_hidden_state
        if shift_labels is not None:
            targets = shift_labels
        else:
            assert labels is not None
            hidden, targets = hidden[:, :-1], labels[:, 1:]
        mask = targets != -100
        figures = _score(hidden[mask], targets[mask], self.get_output_embeddings(), outputs)
        spread = {
            name: figure.new_zeros(mask.shape).masked_scatter(mask, figure)
            for name, figure in figures.items()
        }
        loss = -spread["log_probs"].sum() / mask.sum().clamp(min=1)
        return FusedCausalLMOutput(loss=loss, label_mask=mask, **spread)

    model.forward = types.MethodType(forward, model)


def _score(
    hidden: torch.Tensor, targets: torch.Tensor, head: torch.nn.Module, outputs: tuple[str, ...]
) -> dict[str, torch.Tensor]:
    """Figures of each row: hidden states (rows, width) against target tokens (rows)."""
    names = ("log_probs", *(name for name in outputs if name != "log_probs"))

    def score(rows: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits = head(rows).float()
        log_probs = -functional.cross_entropy(logits, wanted, reduction="none")
        with torch.no_grad():
            return (log_probs, *(_figure(name, logits, wanted) for name in names[1:]))

    if len(hidden) <= ROWS_AT_ONCE:
        parts = [score(hidden, targets)]
    else:
        pieces = zip(*(torch.split(x, ROWS_AT_ONCE) for x in (hidden, targets)), strict=True)
        parts = [checkpoint(score, h, t, use_reentrant=False) for h, t in pieces]
    return {
        name: torch.cat(column)
        for name, column in zip(names, zip(*parts, strict=True), strict=True)
    }


def _figure(name: str, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if name == "entropy":
        log_probs = logits.log_softmax(-1)
        return -(log_probs.exp() * log_probs).sum(-1)
    if name == "is_top1":
        return logits.argmax(-1).eq(targets)
    if name == "mean_logits":
        return logits.mean(-1)
    if name == "log_sum_sq_probs":
        return (2 * logits.log_softmax(-1)).logsumexp(-1)
    raise ValueError(f"unknown figure '{name}'; expected one that TRL's fused head has")
