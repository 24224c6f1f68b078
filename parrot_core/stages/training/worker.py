"""The training process: ``accelerate launch -m parrot_core.stages.training.worker job.json``.

It knows only the job's files. It resumes from the newest whole checkpoint, and ends with a model
folder and ``metrics.json``; with a checkpoint, when it is asked to stop; or with ``failure.json``,
which says in one line what went wrong.
"""

import atexit
import errno
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import datasets
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl.trainer.sft_trainer import SFTTrainer

from parrot_core.errors import ParrotError, TrainingFailed
from parrot_core.recipe import TrainAsk
from parrot_core.stages.training.between_nodes import other_nodes
from parrot_core.stages.training.checkpoints import newest, remove_unfinished
from parrot_core.stages.training.ending import WATCH_PARENT, end_when_asked, end_with_parent
from parrot_core.stages.training.examples import Example, prepare_tokenizer, read_examples
from parrot_core.stages.training.fit import Tally
from parrot_core.stages.training.heldout import measure
from parrot_core.stages.training.job import TrainingJob, load_job, write_json
from parrot_core.stages.training.last_step import StopsWhenAsked
from parrot_core.stages.training.markup import Markup
from parrot_core.stages.training.precision import wants_bf16
from parrot_core.stages.training.prefix_dpo import PrefixSharingDPOTrainer
from parrot_core.stages.training.reporting import CURVE_FIGURES, Reporter
from parrot_core.stages.training.schedule import Schedule
from parrot_core.stages.training.session_end import measure_end
from parrot_core.stages.training.trainers import make_trainer

Trainer = SFTTrainer | PrefixSharingDPOTrainer
SHARD_SIZE = "5GB"
"""Largest safetensors file: a 13-billion model becomes six, which travel side by side."""


def train(job: TrainingJob) -> None:
    """Do the job, from its files to its files; or up to the step in which it is asked to stop."""
    state = PartialState(cpu=not torch.cuda.is_available())
    if nodes := other_nodes():
        job = nodes.job(job)
    reporter = Reporter(job, state.is_main_process)
    reporter.phase("loading")
    tokenizer = AutoTokenizer.from_pretrained(job.model)
    markup = prepare_tokenizer(job, tokenizer)
    examples, tally = read_examples(job, job.train_file, tokenizer, markup)
    heldout, heldout_tally = read_examples(job, job.heldout_file, tokenizer, markup)
    if not examples:
        raise TrainingFailed(_nothing_left(job, tally))
    schedule = Schedule.of(job.settings, len(examples), state.num_processes)
    trainer = make_trainer(job, tokenizer, examples, heldout, schedule, [reporter])
    check_labels(trainer, {"train": len(examples), "heldout": len(heldout)})
    saved_as = _dtype_of(job)
    stop = StopsWhenAsked(job, trainer.accelerator)
    trainer.add_callback(stop)
    measuring = MeasureBefore(job, trainer, reporter)
    untrained = job.settings.max_steps == 0
    if heldout and not untrained and (is_sharded(trainer) or state.num_processes > 1):
        trainer.add_callback(measuring)
    elif heldout:
        measuring.measure()
    reporter.phase("training")
    started = time.monotonic()
    if not untrained:
        trainer.train(resume_from_checkpoint=_last_checkpoint(job, state))
    if stop.stopped:
        return
    trained_s = time.monotonic() - started - measuring.seconds_of_training
    after: dict[str, float] | None = None
    if heldout:
        reporter.phase("measuring after")
        after = measure(trainer)
    ending = _measure_end(job, trainer, tokenizer, markup, heldout)
    reporter.phase("saving")
    _save(job, trainer, tokenizer, markup, saved_as)
    if state.is_main_process:
        figures = _figures(trainer, trained_s) | {
            "template": markup.family,
            "template_notes": list(markup.notes),
            "precision": "bf16" if wants_bf16(job.settings.precision) else "fp32",
            "examples": {"train": tally.as_json(), "heldout": heldout_tally.as_json()},
            "heldout": {"before": measuring.figures() if heldout else None, "after": after},
            "phase_seconds": reporter.phase_seconds(),
        }
        if ending is not None:
            figures["session_end"] = ending
        write_json(job.metrics_file, figures)
        shutil.rmtree(job.checkpoints, ignore_errors=True)


def _measure_end(
    job: TrainingJob,
    trainer: Trainer,
    tokenizer: PreTrainedTokenizerBase,
    markup: Markup,
    heldout: Sequence[Example],
) -> dict[str, Any] | None:
    """How well an asker that learned to ends sessions, by the main process.

    None where the model is sharded, or nothing is held out.
    """
    if not heldout or not isinstance(job.settings, TrainAsk) or not job.settings.end_mark:
        return None
    if is_sharded(trainer) or not trainer.accelerator.is_main_process:
        return None
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    return measure_end(model, tokenizer, markup, heldout)


def _last_checkpoint(job: TrainingJob, state: PartialState) -> str | None:
    """The newest whole one of the first node, for all; those that are not whole are removed."""
    if state.is_main_process:
        remove_unfinished(job.checkpoints)
    state.wait_for_everyone()
    found = newest(job.checkpoints)
    if nodes := other_nodes():
        found = nodes.told(found)
        if found is not None:
            found = nodes.copied(found, job.checkpoints / found.name)
    return str(found) if found else None


def is_sharded(trainer: Trainer) -> bool:
    """Whether the processes share the model's weights out among them (FSDP, DeepSpeed)."""
    return bool(trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)


class MeasureBefore(TrainerCallback):
    """Takes the held-out figures of the model as it came; a resumed process finds the first one's.

    Several processes measure when training begins. Until then a model that is to be sharded is
    whole on the first process only, the others hold zeros, and none is on its device; and one
    that the trainer has evaluated before counts as prepared: DDP would not be put around it, and
    each process would train on its own share alone.
    """

    def __init__(self, job: TrainingJob, trainer: Trainer, reporter: Reporter) -> None:
        self._job, self._trainer, self._reporter = job, trainer, reporter
        self.seconds_of_training = 0.0  # that measuring took, if training had begun

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        began = time.monotonic()
        self.measure()
        self.seconds_of_training = time.monotonic() - began
        self._reporter.phase("training")

    def measure(self) -> None:
        """Measure and write the figures, unless they are there."""
        known = [self._job.before_file.exists()]
        broadcast_object_list(known)  # one process may be quicker to look than another to write
        if known[0]:
            return
        self._reporter.phase("measuring before")
        figures = measure(self._trainer)
        if self._trainer.accelerator.is_main_process:
            write_json(self._job.before_file, figures)

    def figures(self) -> dict[str, float]:
        """What was measured; for the main process."""
        found: dict[str, float] = json.loads(self._job.before_file.read_text(encoding="utf-8"))
        return found


def _nothing_left(job: TrainingJob, tally: Tally) -> str:
    why = ", ".join(f"{n} {reason}" for reason, n in sorted(tally.dropped.items())) or "no rows"
    hint = f"; raise max_length ({job.settings.max_length})" if tally.dropped["too_long"] else ""
    return f"no example is left to train on ({why}){hint}"


def check_labels(trainer: Trainer, sequences: dict[str, int]) -> None:
    """Refuse sequences without a label: their loss would be 0.0, and look like a perfect model.

    TRL drops sequences that it finds without labels, and says so in a progress line alone.

    Args:
        trainer: as it was built; its datasets are tokenized.
        sequences: how many it was given, of ``train`` and of ``heldout``.

    Raises:
        TrainingFailed: some are missing, or hold no token to learn.
    """
    args: Any = trainer.args
    limit = args.max_length or sys.maxsize
    for part, rows in (("train", trainer.train_dataset), ("heldout", trainer.eval_dataset)):
        if rows is None:
            continue
        data: Any = rows
        there = sum(_labelled(row, limit) for row in data)
        if there != sequences[part]:
            raise TrainingFailed(
                f"{sequences[part] - there} of {sequences[part]} {part} sequences hold no token to "
                f"learn; expected one in each of them (max_length is {limit})"
            )


def _labelled(row: dict[str, Any], max_length: int) -> int:
    """How many sequences of a tokenized row carry a label: packed ones are several, pairs one."""
    if "chosen_ids" in row:
        room = max_length - len(row["prompt_ids"])
        return int(bool(row["chosen_ids"] and row["rejected_ids"] and room > 0))
    labels = iter(row["labels"])
    lengths = row.get("seq_lengths") or [len(row["labels"])]
    return sum(sum(label != -100 for label in islice(labels, n)) > 0 for n in lengths)


def _dtype_of(job: TrainingJob) -> torch.dtype:
    """The precision in which the base model is stored, and so the trained one."""
    dtype = AutoConfig.from_pretrained(job.model).dtype
    return dtype if isinstance(dtype, torch.dtype) else torch.float32


def _save(
    job: TrainingJob,
    trainer: Trainer,
    tokenizer: PreTrainedTokenizerBase,
    markup: Markup,
    dtype: torch.dtype,
) -> None:
    """Write the model folder: safetensors, tokenizer with our template, generation settings."""
    scratch, gathered = job.folder / "model.partial", job.folder / "model.gathered"
    sharded = is_sharded(trainer)
    if sharded:
        trainer.save_model(str(gathered))  # every process gives its part
    if not trainer.accelerator.is_main_process:
        return
    shutil.rmtree(scratch, ignore_errors=True)
    model = _reloaded(job, gathered) if sharded else _in_memory(job, trainer)
    model = model.to(dtype)
    model.config.use_cache = True
    model.config.dtype = dtype
    model.generation_config = _generation(tokenizer, markup)
    model.save_pretrained(scratch, max_shard_size=SHARD_SIZE)
    tokenizer.save_pretrained(scratch)
    shutil.rmtree(gathered, ignore_errors=True)
    shutil.rmtree(job.model_folder, ignore_errors=True)
    scratch.rename(job.model_folder)


def _in_memory(job: TrainingJob, trainer: Trainer) -> Any:
    """The trainer's model, its adapter merged."""
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    return model if job.settings.lora is None else model.merge_and_unload()


def _reloaded(job: TrainingJob, gathered: Path) -> Any:
    """The model that the trainer gathered from its shards, or the base with that adapter merged."""
    if job.settings.lora is None:
        return AutoModelForCausalLM.from_pretrained(gathered, dtype=torch.float32)
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32)
    adapted: Any = PeftModel.from_pretrained(base, str(gathered))
    return adapted.merge_and_unload()


def _generation(tokenizer: PreTrainedTokenizerBase, markup: Markup) -> Any:
    """Stop at the end of a turn, and at the end of the text."""
    ends = [tokenizer.convert_tokens_to_ids(markup.stop), tokenizer.eos_token_id]
    config: Any = GenerationConfig
    return config(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=list(dict.fromkeys(end for end in ends if end is not None)),
        pad_token_id=tokenizer.pad_token_id,
    )


def _figures(trainer: Trainer, seconds: float) -> dict[str, Any]:
    """Loss curve and throughput, from the trainer's own log (which a resumed run continues)."""
    model: Any = trainer.model
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    total, here = tokens_of(steps)
    curve = [
        {"step": entry["step"]} | {name: entry[name] for name in CURVE_FIGURES if name in entry}
        for entry in steps
    ]
    return {
        "steps": trainer.state.global_step,
        "curve": curve,
        "tokens": total,
        "seconds": seconds,  # of this process
        "tokens_per_s": here / seconds if seconds else 0.0,
        "parameters": sum(p.numel() for p in model.parameters()),
        "device": str(trainer.accelerator.device),
        "processes": trainer.accelerator.num_processes,
    }


def tokens_of(steps: list[dict[str, float]]) -> tuple[int, int]:
    """Tokens trained on: in all, and by the last process (each process counts from zero)."""
    total = last = 0
    for entry in steps:
        now = int(entry.get("num_tokens", 0))
        total += last if now < last else 0
        last = now
    return total + last, last


def failure_of(error: BaseException) -> dict[str, str]:
    """Say in one line what ended the training, and of what kind it was."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or _refused_by_host(error):
        return {"kind": "memory", "message": str(error).splitlines()[0] if str(error) else ""}
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return {"kind": "disk", "message": str(error)}
    if isinstance(error, ParrotError):
        return {"kind": "known", "message": str(error)}
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return {"kind": "other", "message": f"{type(error).__name__}: {lines[0] if lines else ''}"}


def _refused_by_host(error: BaseException) -> bool:
    """Whether torch could get no memory from the host: it has no type for that, only words."""
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def main(arguments: list[str]) -> int:
    """Train as ``job.json`` says; returns the exit status."""
    if os.environ.get(WATCH_PARENT):
        end_with_parent()
    datasets.disable_progress_bars()
    job = load_job(Path(arguments[0]))
    rank = int(os.environ.get("RANK", "0"))
    alive = job.alive_file(rank)
    alive.touch()
    end_when_asked(alive)
    try:
        train(job)
        PartialState().destroy_process_group()
    except Exception as error:
        logging.getLogger(__name__).exception("training failed")
        write_json(job.failure_file(rank), failure_of(error))
        return 1
    finally:
        alive.unlink(missing_ok=True)
    return 0


def leave(status: int) -> NoReturn:
    """End the process without taking the interpreter apart.

    Threads of its libraries (Arrow's, torch's) that are still there then abort it, now and then. A
    node that trained well would be a lost one to the others.
    """
    atexit._run_exitfuncs()  # of wandb and its like
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
