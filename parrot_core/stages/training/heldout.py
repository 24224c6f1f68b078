"""Measure a model on held-out examples (runs in the training process)."""

from typing import Any

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from torch.nn import functional
from trl.trainer.sft_trainer import SFTTrainer

from parrot_core.estimates import ratio
from parrot_core.stages.training.prefix_dpo import PrefixSharingDPOTrainer, groups_of

RESAMPLES = 2000


def measure(trainer: SFTTrainer | PrefixSharingDPOTrainer) -> dict[str, float]:
    """Measure the trainer's model as it is now on its held-out examples.

    Returns:
        For SFT ``loss`` (mean negative log-likelihood a target token, in nats) and ``tokens`` (how
        many were scored); for DPO ``loss``, ``margin`` and ``accuracy`` (means over pairs), the
        95 % bootstrap interval ``margin_low`` to ``margin_high`` where there are two queries, and
        how many ``pairs`` and ``queries`` were scored.
    """
    if isinstance(trainer, PrefixSharingDPOTrainer):
        return _margins(trainer)
    return _token_loss(trainer)


def _margins(trainer: PrefixSharingDPOTrainer) -> dict[str, float]:
    trainer.evaluate()
    margins = torch.cat(trainer.eval_margins).double()
    queries = np.array(groups_of(trainer.eval_dataset))
    # Whole queries are drawn: the pairs of one share a prompt and a chosen answer, and an interval
    # that took them for independent would be too narrow.
    sums, pairs = np.bincount(queries, weights=margins.cpu().numpy()), np.bincount(queries)
    found = ratio((sums.tolist(), pairs.tolist()), trainer.args.seed, RESAMPLES)
    bounds = {"margin_low": found.low, "margin_high": found.high}
    return {
        "loss": float(-functional.logsigmoid(margins).mean()),
        "margin": float(margins.mean()),
        **{name: bound for name, bound in bounds.items() if bound is not None},
        "accuracy": float((margins > 0).double().mean()),
        "pairs": len(margins),
        "queries": len(pairs),
    }


def _token_loss(trainer: SFTTrainer) -> dict[str, float]:
    """Mean over tokens, where ``Trainer.evaluate`` would give a mean of batches' means."""
    model: Any = trainer.model
    compute_loss: Any = trainer.compute_loss
    loader = trainer.get_eval_dataloader(_shared_out(trainer))
    was_training = model.training
    model.eval()
    total = torch.zeros(2, dtype=torch.float64, device=trainer.accelerator.device)
    for batch in loader:
        inputs = trainer._prepare_inputs(batch)
        count = (inputs["labels"][:, 1:] != -100).sum()
        with torch.no_grad(), trainer.compute_loss_context_manager():
            loss = compute_loss(model, inputs)
        total += torch.stack([loss.double() * count, count.double()])
    total = trainer.accelerator.reduce(total, reduction="sum")
    model.train(was_training)
    trainer._metrics["eval"].clear()
    return {"loss": float(total[0] / total[1]), "tokens": int(total[1])}


def _shared_out(trainer: SFTTrainer) -> Dataset:
    """The held-out examples, so many that every process gets as many batches.

    The loader would fill the last batches up with examples that were measured already. Those
    added here carry no label, and so no weight.
    """
    rows: Any = trainer.eval_dataset
    processes = trainer.accelerator.num_processes
    missing = -len(rows) % (processes * trainer.args.per_device_eval_batch_size)
    if processes == 1 or not missing:
        return rows
    rows = rows.select_columns(["input_ids", "labels"])
    blank = {"input_ids": rows[0]["input_ids"][:2], "labels": [-100, -100]}
    filling = Dataset.from_list([blank] * missing, features=rows.features)
    return concatenate_datasets([rows, filling])
