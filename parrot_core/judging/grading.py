"""An LLM judge that scores one answer of a conversation from 1 to 10 (Zheng et al. 2023, §3.1)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from parrot_core.engines.types import ChatModel, Message
from parrot_core.judging.asking import ask_until_read
from parrot_core.judging.grading_prompts import JudgePrompt
from parrot_core.recipe import Sampling

LOWEST, HIGHEST = 1.0, 10.0
ATTEMPTS = 3

_NUMBER = r"(-?\d+(?:\.\d+)?)(?:\s*/\s*10)?"
_BRACKETED = re.compile(rf"\[\[\s*{_NUMBER}\s*\]\]")
_LABELLED = re.compile(
    rf"\b(?:rating|score|grade)\s*:\s*\**\s*{_NUMBER}(?![\d%]|\.\d|\s*/|\s*(?:-|–|to)\s*\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Score:
    """What the judge wrote last, and the score in it; None when no attempt held one."""

    text: str
    value: float | None


def parse_score(text: str) -> float | None:
    """Read a score from 1 to 10, or None; never guess.

    Accepted are ``[[7]]`` and, in a text without such brackets, ``Rating: 7`` (or Score, Grade);
    each also as ``7.5`` and ``7/10``. Two different scores in one text are none.
    """
    found = _BRACKETED.findall(text) or _LABELLED.findall(text)
    values = {float(number) for number in found}
    if len(values) != 1:
        return None
    value = values.pop()
    return value if LOWEST <= value <= HIGHEST else None


async def score_answer(
    answer_id: str,
    conversation: Sequence[Message],
    references: Sequence[str | None],
    judge: ChatModel,
    sampling: Sampling,
    prompt: JudgePrompt,
) -> Score:
    """Score the last answer of a conversation; a reply without a score is asked for twice more.

    Args:
        conversation: messages from the first query to the answer, which is the last.
        references: a reference answer of each turn so far, None where there is none.

    Raises:
        EngineError: see :meth:`ChatModel.complete`.
    """
    asked = prompt.messages(conversation, references)
    text, value = await ask_until_read(
        judge, asked, sampling, parse_score, sample=f"{answer_id}/judge", attempts=ATTEMPTS
    )
    return Score(text, value)
