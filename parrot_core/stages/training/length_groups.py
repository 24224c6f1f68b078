"""An order of examples that puts those of like length together, exact in seed and epoch."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl.trainer.sft_trainer import SFTTrainer

from parrot_core.stages.training.last_step import StopsAtLastStep


class LengthGroups(Sampler[int]):
    """Examples shuffled, then sorted by length within some batches at a time: less padding.

    Transformers' own draws from the process's random state, which a resumed process hasn't at the
    beginning of the epoch that it resumes in: it would go on with other examples.
    """

    def __init__(
        self, lengths: Sequence[int], batch: int, seed: int, epoch: Callable[[], int]
    ) -> None:
        """Order the examples.

        Args:
            seed: with the epoch it decides the order, on all processes and after a resume alike.
        """
        self._lengths, self._batch = list(lengths), batch
        self._seed, self._epoch = seed, epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch())
        order: list[int] = get_length_grouped_indices(  # type: ignore[no-untyped-call]
            self._lengths, self._batch, generator=generator
        )
        return iter(order)


class LengthGroupedSFTTrainer(StopsAtLastStep, SFTTrainer):
    """TRL's trainer, its examples in the order of :class:`LengthGroups`."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int]:
        data: Any = self.train_dataset if train_dataset is None else train_dataset
        args = self.args
        step = args.per_device_train_batch_size * args.gradient_accumulation_steps
        return LengthGroups(
            [len(ids) for ids in data["input_ids"]],
            step * self.accelerator.num_processes,
            args.seed,
            lambda: int(self.state.epoch or 0),
        )
