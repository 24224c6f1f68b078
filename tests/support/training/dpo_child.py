"""A process that trains a few steps of DPO on shared prefixes by plain gradient descent.

``python -m torch.distributed.run --nproc_per_node=N dpo_child.py MODEL PAIRS FOLDER AT_ONCE
BATCHES``: plain descent follows the gradient itself, where AdamW would turn rounding into steps
of full size.
"""

import json
import sys
from pathlib import Path

from accelerate import PartialState
from datasets import Dataset
from transformers import AutoTokenizer
from trl import DPOConfig

from parrot_core.stages.training.cpu_head import labelled_positions_only
from parrot_core.stages.training.prefix_dpo import PrefixSharingDPOTrainer


def main(model: str, pairs: Path, folder: Path, at_once: int, batches: int) -> None:
    """Train, and leave ``losses.json`` and the model in ``folder``."""
    PartialState(cpu=True)
    config = DPOConfig(
        output_dir=str(folder),
        precompute_ref_log_probs=True,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=batches,
        max_steps=6,
        optim="sgd",
        learning_rate=0.1,
        logging_steps=1,
        save_strategy="no",
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        model_init_kwargs={"dtype": "float32"},
    )
    with labelled_positions_only():
        trainer = PrefixSharingDPOTrainer(
            model=model,
            args=config,
            train_dataset=Dataset.from_list(json.loads(pairs.read_text())),
            processing_class=AutoTokenizer.from_pretrained(model),
        )
    trainer.train()
    if trainer.accelerator.is_main_process:
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        (folder / "losses.json").write_text(json.dumps(losses))
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
