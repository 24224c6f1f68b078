"""TRL's DPOTrainer on shared prefixes: a query's pairs in one batch, their prompt computed once."""

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, load_from_disk
from torch.utils.data import Sampler
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from parrot_core.errors import TrainingFailed
from parrot_core.stages.training.between_nodes import other_nodes
from parrot_core.stages.training.last_step import StopsAtLastStep
from parrot_core.stages.training.prefix_trees import AsPairs, PrefixTreeCollator


class QueriesTogether(Sampler[int]):
    """The pairs of a prompt follow each other; the prompts are shuffled."""

    def __init__(self, groups: Sequence[int], seed: int, epoch: Callable[[], int]) -> None:
        """Order the pairs.

        Args:
            seed: with the epoch it decides the order, on all processes and after a resume alike.
        """
        self._members: dict[int, list[int]] = defaultdict(list)
        for pair, group in enumerate(groups):
            self._members[group].append(pair)
        self._size = len(groups)
        self._seed, self._epoch = seed, epoch

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch())
        groups = list(self._members)
        for number in torch.randperm(len(groups), generator=generator).tolist():
            yield from self._members[groups[number]]


class PrefixSharingDPOTrainer(StopsAtLastStep, DPOTrainer):
    """Direct preference optimisation (Rafailov et al. 2023) that computes shared tokens once.

    Losses, metrics and the reference's bookkeeping are TRL's; only the forward pass runs on trees,
    see :mod:`.prefix_trees`. A step's loss is the mean over its pairs, however
    they fall into batches and processes (TRL weighs a short last batch like a full one).
    """

    def __init__(
        self,
        *,
        args: DPOConfig,
        train_dataset: Dataset,
        processing_class: Any,
        share_prefix: bool = True,
        **options: Any,
    ) -> None:
        """Make the trainer.

        Args:
            args: must have ``precompute_ref_log_probs``; they are kept in ``output_dir``.
            train_dataset: pairs, as TRL takes them; those of a prompt need not be neighbours.
            processing_class: the tokenizer, with a padding token.
            share_prefix: without it the same batches are computed as pairs.

        Raises:
            TrainingFailed: the model can't be trained on trees.
        """
        if not args.precompute_ref_log_probs or args.truncation_mode != "keep_start":
            raise TrainingFailed(
                "DPO on shared prefixes expects precompute_ref_log_probs=True and "
                f"truncation_mode='keep_start', not {args.truncation_mode!r}"
            )
        self.eval_margins: list[torch.Tensor] = []
        if share_prefix:
            options["data_collator"] = PrefixTreeCollator(
                pad_token_id=processing_class.pad_token_id, max_length=args.max_length
            )
        self._share_prefix = share_prefix
        super().__init__(
            args=args,
            train_dataset=train_dataset,
            processing_class=processing_class,
            **options,
        )

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """Compute the reference's log-probabilities, or find those of an earlier process.

        TRL keeps them beside the dataset's files, under the dataset's fingerprint and the model's
        hash. An in-memory dataset has neither, so it is first stored in ``output_dir``.
        """
        if self._share_prefix:
            _check(self.accelerator.unwrap_model(self.model).config)
            if self.aux_loss_enabled:
                raise _unfit("its load-balancing loss would weigh a shared token once")
        digest = hashlib.sha256()
        for pair in dataset.select_columns(["prompt_ids", "chosen_ids", "rejected_ids"]):
            digest.update(repr(sorted(pair.items())).encode())
        home = Path(str(self.args.output_dir)) / f"reference-{name}-{digest.hexdigest()[:16]}"
        if self.accelerator.is_local_main_process and not home.exists():
            scratch = home.with_suffix(".partial")
            shutil.rmtree(scratch, ignore_errors=True)
            dataset.save_to_disk(str(scratch))
            scratch.rename(home)
        self.accelerator.wait_for_everyone()
        if nodes := other_nodes():
            home = nodes.copied(nodes.told(home), home)
        accelerator, self.accelerator = self.accelerator, _OneOfEachNode(self.accelerator)
        try:
            return super()._precompute_ref_logps(load_from_disk(str(home)), name, batch_size)
        finally:
            self.accelerator = accelerator

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int]:
        data = self.train_dataset if train_dataset is None else train_dataset
        return QueriesTogether(groups_of(data), self.args.seed, lambda: int(self.state.epoch or 0))

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device
    ) -> torch.Tensor:
        """Pairs in an optimiser step, over all processes."""
        pairs = sum(len(batch["ref_chosen_logps"]) for batch in batch_samples)
        total: torch.Tensor = self.accelerator.gather(torch.tensor([pairs], device=device)).sum()
        return total

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Mean over the batch's pairs, weighed so that a step's mean is over the step's pairs."""
        plain: Any = super()  # TRL's methods are untyped
        loss = plain.compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if num_items_in_batch is None or return_outputs:
            return loss
        batches = self.current_gradient_accumulation_steps * self.accelerator.num_processes
        return loss * (len(inputs["ref_chosen_logps"]) * batches / num_items_in_batch)

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        view = AsPairs(model)
        plain: Any = super()
        loss = plain._compute_loss(view, inputs, return_outputs)
        policy: Any = self.model
        if not policy.training and view.logps is not None:
            chosen, rejected = view.logps.chunk(2)
            chosen = chosen - inputs["ref_chosen_logps"]
            rejected = rejected - inputs["ref_rejected_logps"]
            margins = self.accelerator.gather_for_metrics(self.beta * (chosen - rejected))
            self.eval_margins.append(margins.cpu())
        return loss

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> Any:
        """Log-probabilities of a batch's answers under the reference: chosen (n), rejected (n)."""
        plain: Any = super()
        return plain.compute_ref_log_probs(AsPairs(model), inputs)

    def evaluate(self, *args: Any, **options: Any) -> dict[str, float]:
        """As TRL's; ``eval_margins`` then holds each pair's reward margin, in the data's order."""
        self.eval_margins.clear()
        figures: dict[str, float] = super().evaluate(*args, **options)
        return figures


class _OneOfEachNode:
    """An accelerator by which TRL writes the reference's figures on each node, not on one."""

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._accelerator, name)

    @property
    def is_main_process(self) -> bool:
        return bool(self._accelerator.is_local_main_process)


def groups_of(dataset: Dataset) -> list[int]:
    """Number the prompts of a tokenized dataset: for each pair, which one is its."""
    numbers: dict[bytes, int] = {}
    column = dataset.select_columns(["prompt_ids"])
    digests = (hashlib.sha256(repr(row["prompt_ids"]).encode()).digest() for row in column)
    return [numbers.setdefault(digest, len(numbers)) for digest in digests]


def _check(config: Any) -> None:
    """Refuse a model whose attention would not heed the tree's mask, or not give pairs' figures."""
    attention = config._attn_implementation
    if attention != "sdpa":
        raise _unfit(f"its attention is '{attention}' and takes no mask of ours; expected 'sdpa'")
    if getattr(config, "attention_dropout", 0.0):
        raise _unfit(f"its attention drops out ({config.attention_dropout}), and TRL lets it")
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    window = getattr(config, "sliding_window", None)
    if kinds or (window and getattr(config, "use_sliding_window", True)):
        raise _unfit(f"it doesn't attend to its whole past ({', '.join(sorted(kinds)) or window})")


def _unfit(why: str) -> TrainingFailed:
    return TrainingFailed(
        f"this model can't be trained on shared prefixes: {why}; set train_dpo.share_prefix: false"
    )
