"""An LLM judge that says which of two answers is better, asked in both orders (Zheng et al. 2023).

A judge tends to prefer what it reads first (their §3.3), so each pair is shown twice, the second
time with the sides swapped. Only a preference that outweighs the other counts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from parrot_core.engines.types import ChatModel, Message
from parrot_core.judging.asking import ask_until_read, transcript
from parrot_core.recipe import Sampling

PAIR_TOKENS = 110.0
"""The judge's instructions for a comparison."""

PAIR_PROMPT = "pair-1"
"""Version of the wording below; rises with every change of it, and is stored with the verdicts."""

ATTEMPTS = 3

Verdict = Literal["first", "second", "tie"]
"""What the judge says of two conversations, the first being the one given first."""
Letter = Literal["A", "B", "C"]

_TASK = (
    "Two assistants answered the same user. Say whose last answer is better: correct, complete, "
    "clear, and true to what was said before. Neither the order nor the length matters."
)
_WITH_REFERENCE = "Hold both against the reference: what contradicts the reference is wrong."
_FORM = "Reply with only [[A]] if A is better, [[B]] if B is better, or [[C]] for a tie."
_LETTER = re.compile(r"\[\[\s*([ABC])\s*\]\]")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both verdicts in terms of the conversations given; None where no attempt held one."""

    verdicts: tuple[Verdict | None, Verdict | None]
    texts: tuple[str, str]

    @property
    def readable(self) -> bool:
        """Whether both orders gave a verdict."""
        return None not in self.verdicts

    @property
    def winner(self) -> Verdict:
        """The side that won more of the two orders; a tie if they contradict each other.

        Raises:
            ValueError: a verdict is missing; nothing is guessed.
        """
        if not self.readable:
            raise ValueError("a comparison without both verdicts has no winner")
        won = self.verdicts.count("first") - self.verdicts.count("second")
        return "first" if won > 0 else "second" if won < 0 else "tie"


def parse_verdict(text: str) -> Letter | None:
    """The one letter in double square brackets; None if there is none, or two different ones."""
    letters = set(_LETTER.findall(text))
    return cast(Letter, letters.pop()) if len(letters) == 1 else None


def pair_messages(
    shown_a: Sequence[Message], shown_b: Sequence[Message], reference: str | None = None
) -> list[Message]:
    """What the judge is sent: what both conversations share, once, then how each goes on.

    Args:
        shown_a: messages from the first query to the answer to judge, which is the last.
    """
    same = 0
    while same < min(len(shown_a), len(shown_b)) - 1 and shown_a[same] == shown_b[same]:
        same += 1
    parts = [f"{_TASK} {_WITH_REFERENCE}" if reference else _TASK]
    if same:
        parts += ["[Conversation]", transcript(shown_a[:same])]
    parts += ["[A]", transcript(shown_a[same:]), "[B]", transcript(shown_b[same:])]
    if reference:
        parts += ["[Reference]", reference]
    return [{"role": "user", "content": "\n\n".join([*parts, "[End]", _FORM])}]


async def compare(
    pair_id: str,
    first: Sequence[Message],
    second: Sequence[Message],
    judge: ChatModel,
    sampling: Sampling,
    reference: str | None = None,
) -> Comparison:
    """Compare the last answers of two conversations, in both orders.

    A reply without a verdict is asked for twice more.

    Raises:
        EngineError: see :meth:`ChatModel.complete`.
    """
    straight = await _ask(f"{pair_id}/ab", pair_messages(first, second, reference), judge, sampling)
    swapped = await _ask(f"{pair_id}/ba", pair_messages(second, first, reference), judge, sampling)
    read: dict[str | None, Verdict | None] = {"A": "first", "B": "second", "C": "tie"}
    turned: dict[str | None, Verdict | None] = {"A": "second", "B": "first", "C": "tie"}
    return Comparison(
        (read.get(straight[1]), turned.get(swapped[1])),
        (straight[0], swapped[0]),
    )


async def _ask(
    name: str, asked: Sequence[Message], judge: ChatModel, sampling: Sampling
) -> tuple[str, Letter | None]:
    return await ask_until_read(
        judge, asked, sampling, parse_verdict, sample=name, attempts=ATTEMPTS
    )
