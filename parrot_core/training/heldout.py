"""Measure a model on held-out examples (runs in the training process)."""

from typing import Any

import torch
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_trainer import SFTTrainer


def measure(trainer: SFTTrainer | DPOTrainer) -> dict[str, float]:
    """Measure the trainer's model as it is now on its held-out examples.

    Returns:
        For SFT ``loss`` (mean negative log-likelihood a target token, in nats) and ``tokens`` (how
        many were scored); for DPO ``loss``, ``margin`` and ``accuracy`` (means over pairs).
    """
    if isinstance(trainer, DPOTrainer):
        found = trainer.evaluate()
        return {
            "loss": found["eval_loss"],
            "margin": found["eval_rewards/margins"],
            "accuracy": found["eval_rewards/accuracies"],
        }
    return _token_loss(trainer)


def _token_loss(trainer: SFTTrainer) -> dict[str, float]:
    """Mean over tokens, where ``Trainer.evaluate`` would give a mean of batches' means."""
    model: Any = trainer.model
    compute_loss: Any = trainer.compute_loss
    loader = trainer.get_eval_dataloader()
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
