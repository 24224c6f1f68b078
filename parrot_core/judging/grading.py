"""An LLM judge that scores one answer of a conversation from 1 to 10 (Zheng et al. 2023, §3.1)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from parrot_core.engines.types import ChatModel, Message
from parrot_core.judging.asking import ask_until_read
from parrot_core.recipe import Sampling

JUDGE_PROMPT = "score-1"
"""Version of the wording below; rises with every change of it, and is stored with the scores."""

LOWEST, HIGHEST = 1.0, 10.0
ATTEMPTS = 3

_TASK = (
    "Grade the assistant's last answer in this conversation from 1 (useless) to 10 (excellent). "
    "A good answer is correct, complete and clear, and takes up what was said before."
)
_WITH_REFERENCE = "Hold it against the reference: what contradicts the reference is wrong."
_FORM = "Reply with only the grade in double square brackets, like [[N]]."
_EXAMPLES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("Name a river in Italy.", "The Po.", "How long is it?", "It is about 650 km long."), "[[9]]"),
    (("How many legs has a spider?", "I like the sea, and the sea likes me."), "[[1]]"),
    (("Name two fruits and say what they taste like.", "An apple and a lemon."), "[[5]]"),
)

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


def judge_messages(conversation: Sequence[Message], reference: str | None) -> list[Message]:
    """What the judge is sent: three examples, then the conversation up to the answer to score.

    Args:
        conversation: messages from the first query to the answer, which is the last.
        reference: an answer to compare with, if there is one.
    """
    result: list[Message] = []
    for texts, grade in _EXAMPLES:
        shown: list[Message] = [
            {"role": "assistant" if place % 2 else "user", "content": text}
            for place, text in enumerate(texts)
        ]
        result.append({"role": "user", "content": _request(shown, None)})
        result.append({"role": "assistant", "content": grade})
    result.append({"role": "user", "content": _request(conversation, reference)})
    return result


async def score_answer(
    answer_id: str,
    conversation: Sequence[Message],
    reference: str | None,
    judge: ChatModel,
    sampling: Sampling,
) -> Score:
    """Score the last answer of a conversation; a reply without a score is asked for twice more.

    Raises:
        EngineError: see :meth:`ChatModel.complete`.
    """
    asked = judge_messages(conversation, reference)
    text, value = await ask_until_read(
        judge, asked, sampling, parse_score, sample=f"{answer_id}/judge", attempts=ATTEMPTS
    )
    return Score(text, value)


def _request(conversation: Sequence[Message], reference: str | None) -> str:
    names = {"user": "User", "assistant": "Assistant", "system": "System"}
    lines = "\n\n".join(f"{names[turn['role']]}: {turn['content']}" for turn in conversation)
    parts = [f"{_TASK} {_WITH_REFERENCE}" if reference else _TASK, "[Conversation]", lines]
    if reference:
        parts += ["[Reference]", reference]
    return "\n\n".join([*parts, "[End]", _FORM])
