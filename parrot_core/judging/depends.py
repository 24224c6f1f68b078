"""The LLM judge's view on whether a query depends on its context (paper §3.3)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from parrot_core.engines.types import ChatModel, Message
from parrot_core.judging.asking import ask_until_read
from parrot_core.judging.prompts import prompts_for
from parrot_core.recipe import Sampling

_MESSAGES = 4
_MESSAGE_CHARS = 500
_ATTEMPTS = 2
_YES = re.compile(r"\W*(?:yes\b|是)(?!\W*(?:or|否|不是))", re.IGNORECASE)
_NO = re.compile(r"\W*(?:no\b|否|不是)(?!\W*(?:or|是))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DependenceVerdict:
    """What the judge wrote, and what it means; ``depends`` is None where it means nothing."""

    text: str
    depends: bool | None


def parse_verdict(text: str) -> bool | None:
    """Read a reply that opens with yes or no (是, 否, 不是); None for anything else."""
    if _YES.match(text):
        return True
    return False if _NO.match(text) else None


async def judge_dependence(
    row_id: str,
    history: Sequence[Message],
    query: str,
    language: str | None,
    judge: ChatModel,
    sampling: Sampling,
) -> DependenceVerdict:
    """Ask whether a query depends on its history; an unreadable reply is asked for once more.

    The judge sees the last four messages, each at most 500 characters: enough to tell, and cheap.
    If the second reply is unreadable too, the verdict is None: nothing is invented.

    Raises:
        EngineError: see :meth:`ChatModel.complete`.
    """
    prompts = prompts_for(language)
    clipped: list[Message] = [
        {"role": message["role"], "content": _clip(message["content"])}
        for message in history[-_MESSAGES:]
    ]
    asked = prompts.depends.messages(history=prompts.transcript(clipped), query=query)
    text, depends = await ask_until_read(
        judge, asked, sampling, parse_verdict, sample=f"{row_id}/depends", attempts=_ATTEMPTS
    )
    return DependenceVerdict(text, depends)


def _clip(text: str) -> str:
    return text if len(text) <= _MESSAGE_CHARS else text[:_MESSAGE_CHARS].rstrip() + " …"
