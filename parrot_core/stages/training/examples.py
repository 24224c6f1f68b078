"""Read a job's examples and make them fit the sequence (runs in the training process)."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from parrot_core.engines.types import Message
from parrot_core.recipe import Supervised, TrainAsk
from parrot_core.stages.training.fit import (
    Length,
    Tally,
    TrainingMessage,
    fit_pair,
    fit_session,
)
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.markup import LearnedRole, Markup, markup_of
from parrot_core.stages.training.templates import chat_template

Example = dict[str, list[TrainingMessage]]
Clipped = dict[str, tuple[list[TrainingMessage], int]]
"""For each query with its history: what is kept of them, and how many turns were cut."""


def prepare_tokenizer(job: TrainingJob, tokenizer: PreTrainedTokenizerBase) -> Markup:
    """Give the tokenizer the template that marks the job's turns, and a padding token."""
    markup = markup_of(tokenizer, learned_role(job), job.settings.template)
    tokenizer.chat_template = chat_template(markup, learned_role(job))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or markup.stop
    tokenizer.eos_token = markup.stop  # what a server stops at, whichever settings it reads
    return markup


def learned_role(job: TrainingJob) -> LearnedRole:
    """The role whose tokens carry the loss."""
    return "user" if job.kind == "ask" else "assistant"


def token_length(tokenizer: PreTrainedTokenizerBase) -> Length:
    """Count the tokens of a rendered conversation."""

    def length(messages: Iterable[Message]) -> int:
        turns: list[Any] = list(messages)
        text = tokenizer.apply_chat_template(turns, tokenize=False)
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    return length


def read_examples(
    job: TrainingJob, path: Path, tokenizer: PreTrainedTokenizerBase, markup: Markup
) -> tuple[list[Example], Tally]:
    """Read the examples of a file, as sequences that fit; rows that can't be used are counted.

    Reasons for dropping: ``control_tokens`` (a message holds a token of the template, which would
    forge a role), ``unknown_role`` (such as a system message where the template has none),
    ``too_long`` (not even one turn fits), ``nothing_to_learn``.
    """
    special = forbidden(markup, tokenizer)
    length = token_length(tokenizer)
    tally = Tally()
    kept: list[Example] = []
    rows = [(row, _unusable(row, markup, special)) for row in _lines(path)]
    prompts = _shared_prompts(job, [row for row, reason in rows if not reason], length)
    for row, reason in rows:
        found, cut = ([], 0) if reason else _fit(job, row, length, prompts)
        if not found:
            tally.dropped[reason or _why_empty(job, row)] += 1
            continue
        kept += found
        tally.used += 1
        tally.sequences += len(found)
        tally.clipped += cut > 0
        tally.turns_cut += cut
        tally.turns += _learned_turns(job, row)
        tally.messages_cut += sum(bool(m.get("cut")) for m in _learned(job, row))
    return kept, tally


def forbidden(markup: Markup, tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Texts that no message may hold: the tokenizer or a reader would take them for control."""
    added = {str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}
    return {*markup.control, *tokenizer.all_special_tokens, *added} - {""}


def _lines(path: Path) -> Iterator[Example]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _unusable(row: Example, markup: Markup, special: set[str]) -> str:
    for messages in row.values():
        for message in messages:
            if message["role"] not in markup.turns:
                return "unknown_role"
            if any(token in message["content"] for token in special):
                return "control_tokens"
    return ""


def _shared_prompts(job: TrainingJob, rows: list[Example], length: Length) -> Clipped:
    """Clip the history of each query once, for its longest answer: its pairs still share it."""
    if job.kind != "dpo":
        return {}
    answers: dict[str, list[list[TrainingMessage]]] = {}
    for row in rows:
        answers.setdefault(_query(row), [row["prompt"], row["chosen"]]).append(row["rejected"])
    limit = job.settings.max_length
    return {
        query: fit_pair(prompt, followers, length, limit)
        for query, (prompt, *followers) in answers.items()
    }


def _query(row: Example) -> str:
    return json.dumps([row["prompt"], row["chosen"]])


def _fit(
    job: TrainingJob, row: Example, length: Length, prompts: Clipped
) -> tuple[list[Example], int]:
    limit = job.settings.max_length
    if not isinstance(job.settings, Supervised):
        prompt, cut = prompts[_query(row)]
        if not prompt:  # an answer of the query is too long, if not one of this pair
            prompt, cut = fit_pair(row["prompt"], (row["chosen"], row["rejected"]), length, limit)
        return ([{**row, "prompt": prompt}] if prompt else []), cut
    sequences, cut = fit_session(
        row["messages"],
        learned_role(job),
        length,
        limit,
        skip_first=_skips_first(job),
        windows=job.settings.long_sessions == "windows",
    )
    return [{"messages": messages} for messages in sequences], cut


def _skips_first(job: TrainingJob) -> bool:
    return isinstance(job.settings, TrainAsk) and not job.settings.learn_first_query


def _learned(job: TrainingJob, row: Example) -> list[TrainingMessage]:
    """The messages of a row that carry the loss."""
    if job.kind == "dpo":
        return [*row["chosen"], *row["rejected"]]
    said = [message for message in row["messages"] if message["role"] == learned_role(job)]
    return said[1:] if _skips_first(job) else said


def _learned_turns(job: TrainingJob, row: Example) -> int:
    """The turns that a session teaches, or the turns of a pair's history: what may be cut."""
    if job.kind == "dpo":
        return sum(message["role"] == "user" for message in row["prompt"])
    return len(_learned(job, row))


def _why_empty(job: TrainingJob, row: Example) -> str:
    return "too_long" if job.kind == "dpo" or _learned(job, row) else "nothing_to_learn"
