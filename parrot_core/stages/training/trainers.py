"""Build TRL's trainer for a job (runs in the training process)."""

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, TrainerCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from parrot_core.recipe import Lora, Supervised, TrainDpo, Training
from parrot_core.stages.training.cpu_head import labelled_positions_only
from parrot_core.stages.training.examples import Example
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.length_groups import LengthGroupedSFTTrainer
from parrot_core.stages.training.precision import wants_bf16
from parrot_core.stages.training.prefix_dpo import PrefixSharingDPOTrainer
from parrot_core.stages.training.schedule import Schedule


def make_trainer(
    job: TrainingJob,
    tokenizer: PreTrainedTokenizerBase,
    train: Sequence[Example],
    heldout: Sequence[Example],
    schedule: Schedule,
    callbacks: list[TrainerCallback],
) -> SFTTrainer | PrefixSharingDPOTrainer:
    """Build the trainer; its model is loaded from the job's *path*.

    A model object handed to DPOTrainer would get its reference from the path it once came from,
    not from its weights.
    """
    options = {
        "model": job.model,
        "train_dataset": Dataset.from_list(list(train)),
        "eval_dataset": Dataset.from_list(list(heldout)) if heldout else None,
        "processing_class": tokenizer,
        "callbacks": callbacks,
        "peft_config": _peft(job.settings.lora),
    }
    with labelled_positions_only():
        if isinstance(job.settings, TrainDpo):
            return PrefixSharingDPOTrainer(
                args=dpo_config(job, job.settings, schedule),
                share_prefix=job.settings.share_prefix,
                **options,
            )
        config = sft_config(job, schedule)
        trainer = LengthGroupedSFTTrainer(args=config, **options)
    if config.packing:
        rows: Any = trainer.train_dataset  # as packed: only now is their number known
        packed = Schedule.of(job.settings, len(rows), trainer.accelerator.num_processes)
        config.max_steps, config.warmup_steps = packed.total_steps, packed.warmup_steps
    return trainer


def sft_config(job: TrainingJob, schedule: Schedule) -> SFTConfig:
    """TRL's arguments for a training on one role's tokens."""
    packing = isinstance(job.settings, Supervised) and job.settings.packing
    return SFTConfig(
        **_shared(job, schedule),
        assistant_only_loss=True,  # "assistant" is whatever role our template marks
        packing=packing,
        packing_strategy="bfd",  # whole sessions only; "wrapped" would cut them anywhere
        eval_packing=False,
        per_device_eval_batch_size=schedule.per_device,
    )


def dpo_config(job: TrainingJob, settings: TrainDpo, schedule: Schedule) -> DPOConfig:
    return DPOConfig(
        **_shared(job, schedule),
        beta=settings.beta,
        loss_type=["sigmoid"],
        precompute_ref_log_probs=True,  # no second model in memory
        precompute_ref_batch_size=schedule.per_device,
        per_device_eval_batch_size=schedule.per_device,
    )


def _shared(job: TrainingJob, schedule: Schedule) -> dict[str, Any]:
    settings: Training = job.settings
    checkpointed = settings.save_steps < schedule.total_steps
    return {
        "output_dir": str(job.checkpoints),
        "max_length": settings.max_length,
        "max_steps": schedule.total_steps,
        "warmup_steps": schedule.warmup_steps,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.lr_scheduler,
        "per_device_train_batch_size": schedule.per_device,
        "gradient_accumulation_steps": schedule.accumulation,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "bf16": wants_bf16(settings.precision),
        "model_init_kwargs": {"dtype": "float32"},  # master weights; bf16 ones lose small updates
        "use_cpu": not torch.cuda.is_available(),
        "save_strategy": "steps" if checkpointed else "no",
        "save_steps": settings.save_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        "logging_strategy": "steps",
        "eval_strategy": "no",  # measured by the worker, before and after
        "report_to": list(settings.report_to) or "none",
        "run_name": f"{job.folder.parent.name}-{job.kind}",
        "disable_tqdm": True,
        "seed": job.seed,
        "data_seed": job.seed,
    }


def _peft(lora: Lora | None) -> Any:
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
