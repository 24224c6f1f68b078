"""Parrot-Ask's own perplexity: how surprised it is by human and by synthesized follow-ups."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parrot_core.analysis.statistics.judge import DependenceQuestion, draw_questions
from parrot_core.analysis.statistics.measures.measure import Ratio
from parrot_core.analysis.statistics.reading import SessionSet
from parrot_core.analysis.statistics.values import Figure, Found
from parrot_core.engines.types import Message
from parrot_core.errors import UserError
from parrot_core.stages.training.markup import markup_of
from parrot_core.stages.training.templates import chat_template
from parrot_core.telemetry.progress import SILENT, Progress, ProgressReporter

QUERIES = 60
"""Follow-up queries of each side, unless told otherwise."""
CONTEXT_TOKENS = 512
QUERY_TOKENS = 128
"""A longer query is scored up to here."""

DESCRIPTION = (
    "Mean negative log-likelihood, in nats a token, that the asker gives to follow-up queries with "
    f"their history ({QUERIES} drawn queries a side unless told otherwise, the first "
    f"{QUERY_TOKENS} tokens of each; oldest turns are left out beyond {CONTEXT_TOKENS} tokens of "
    "history; the end of the turn counts). A set whose queries surprise the asker as much as human "
    "ones do is human-like in its eyes; samples at a low temperature surprise it less."
)


def asker_likeness(
    folder: Path,
    name: str,
    ours: SessionSet,
    human: SessionSet | None,
    seed: int,
    queries: int = QUERIES,
    reporter: ProgressReporter = SILENT,
) -> Found:
    """Score both sides under the asker.

    Args:
        name: what it is called, for the notes.
        human: held-out human sessions; None scores ours alone.
        reporter: is told of each query that was scored; one takes seconds on a CPU.

    Raises:
        UserError: torch or transformers isn't installed, or the folder holds no model.
    """
    asker = _load(folder)
    sides = {"asker_nll": ("its queries", ours)}
    if human is not None:
        sides["asker_nll_human"] = ("human queries", human)
    figures: list[Figure] = []
    notes = [f"asker: {name}"]
    drawn = {
        key: draw_questions(sessions, queries, seed).drawn for key, (_, sessions) in sides.items()
    }
    reporter.step(f"surprise of {name}", sum(map(len, drawn.values())))
    for key, (whose, _) in sides.items():
        title = f"{whose} under the asker (nats)"
        figure, skipped = _scored(asker, drawn[key], key, title, seed, reporter.progress)
        figures.append(figure)
        if skipped:
            notes.append(f"asker: {skipped} {whose} hold its control tokens and weren't scored")
    return Found(figures=tuple(figures), notes=tuple(notes))


@dataclass(frozen=True, slots=True)
class _Asker:
    model: Any  # a transformers model; its type needs torch to be named
    tokenizer: Any
    lead: str
    end: str
    control: tuple[str, ...]


def _load(folder: Path) -> _Asker:
    # Read when torch is loaded. Threads that spin while they wait starve each other beside other
    # work: one of these models then takes a multiple of the time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise UserError(
            f"--asker needs torch and transformers (the extra 'train'): {error}"
        ) from None
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no config.json; expected a model in Hugging Face's layout")
    disable_progress_bar()  # type: ignore[no-untyped-call]  # ours is on the terminal already
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.train(False)
    # An untrained base model may have no template; its turns are then spelled with headings.
    markup = markup_of(tokenizer, "user", "auto" if tokenizer.chat_template else "plain")
    # A Parrot-Ask's own template; with it, any other model can be asked for a user's turn too.
    tokenizer.chat_template = chat_template(markup, "user")
    turn = markup.turns["user"]
    return _Asker(model, tokenizer, turn.lead, turn.end, markup.control)


def _scored(
    asker: _Asker,
    questions: Sequence[DependenceQuestion],
    key: str,
    title: str,
    seed: int,
    progress: Progress = lambda _: None,
) -> tuple[Figure, int]:
    ratio = Ratio()
    skipped = 0
    for question in questions:
        progress(1)
        texts = [question.query, *(message["content"] for message in question.history)]
        if any(token in text for token in asker.control for text in texts):
            skipped += 1
            continue
        ratio.add(*_surprise(asker, question))
    return ratio.figure(key, title, seed, "tokens"), skipped


def _surprise(asker: _Asker, question: DependenceQuestion) -> tuple[float, int]:
    """(sum of negative log-likelihoods, tokens) of a query and the end of its turn."""
    import torch

    prompt = _prompt(asker, question.history)
    target = asker.tokenizer(
        asker.lead + question.query.strip() + asker.end, add_special_tokens=False
    )
    scored = target["input_ids"][:QUERY_TOKENS]
    ids = torch.tensor([[*prompt, *scored]])
    with torch.no_grad():
        kept = asker.model(ids, use_cache=False, logits_to_keep=len(scored) + 1).logits[0, :-1]
    chances = torch.log_softmax(kept.float(), dim=-1)
    picked = chances[torch.arange(len(scored)), torch.tensor(scored)]
    total = -float(picked.sum())
    assert math.isfinite(total)
    return total, len(scored)


def _prompt(asker: _Asker, history: Sequence[Message]) -> list[int]:
    """The history and the opening of a user's turn, without the oldest turns that don't fit."""
    messages = list(history)
    chars = sum(len(message["content"]) for message in messages)
    while len(messages) > 2 and chars > 16 * CONTEXT_TOKENS:  # it can't fit: don't tokenize it
        chars -= sum(len(message["content"]) for message in messages[:2])
        del messages[:2]
    while True:
        turns = [{"role": m["role"], "content": m["content"]} for m in messages]
        text = asker.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        ids: list[int] = asker.tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) <= CONTEXT_TOKENS or not messages:
            return ids
        if len(messages) <= 2:
            return ids[-CONTEXT_TOKENS:]
        del messages[:2]
