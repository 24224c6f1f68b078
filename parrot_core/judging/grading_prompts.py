"""In which words a judge is asked for a grade: two sets of our own, or a file in FastChat's layout.

What a judge gives depends on how it is asked, so the name of the words is kept with the scores.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from parrot_core.engines.types import Message
from parrot_core.errors import SourceError
from parrot_core.judging.asking import transcript

References = Sequence[str | None]
"""A reference answer of each turn up to the one that is graded, None where there is none."""

_FIELD = re.compile(r"\{(\w+)\}")


class JudgePrompt(Protocol):
    """How to ask for a grade of a conversation's last answer."""

    @property
    def name(self) -> str:
        """What is stored with the scores; it changes with the wording."""
        ...

    def messages(self, conversation: Sequence[Message], references: References) -> list[Message]:
        """What the judge is sent.

        Args:
            conversation: messages from the first query to the answer to grade, which is the last.
        """
        ...


class Explained:
    """An explanation, then the grade, with the references of every turn (FastChat's way).

    FastChat's judge sees both turns and both references at the second turn, and is told to look at
    the last answer; so is ours, at any turn.
    """

    name = "explain-1"
    _TASK = (
        "You are an impartial judge of an assistant's last answer in the conversation below. Weigh "
        "how helpful, relevant, accurate, deep, creative and detailed it is, and whether it takes "
        "up what was said before."
    )
    _REFERENCE = (
        "Reference answers are given. Compare the last answer with its reference, and name and "
        "correct its mistakes."
    )
    _FORM = (
        "Begin with a short explanation, and be as objective as you can. Then grade the last "
        "answer from 1 to 10, strictly in this form: Rating: [[N]], for example Rating: [[5]]."
    )

    def messages(self, conversation: Sequence[Message], references: References) -> list[Message]:
        """Task and form as a system message; conversation and references as a query."""
        known = any(references)
        task = " ".join([self._TASK, *([self._REFERENCE] if known else []), self._FORM])
        parts = ["[Conversation]", transcript(conversation), "[End of the conversation]"]
        if known:
            parts += ["[Reference answers]", *_numbered(references), "[End of the references]"]
        return [
            {"role": "system", "content": task},
            {"role": "user", "content": "\n\n".join(parts)},
        ]


class ShortPrompt:
    """Only a grade, after three examples: what a small judge can follow."""

    name = "short-2"
    _TASK = (
        "Grade the assistant's last answer in this conversation from 1 (useless) to 10 "
        "(excellent). A good answer is correct, complete and clear, and takes up what was said "
        "before."
    )
    _WITH_REFERENCE = "Hold it against the reference: what contradicts the reference is wrong."
    _FORM = "Reply with only the grade in double square brackets, like [[N]]."
    _EXAMPLES: tuple[tuple[tuple[str, ...], str], ...] = (
        (
            ("Name a river in Italy.", "The Po.", "How long is it?", "It is about 650 km long."),
            "[[9]]",
        ),
        (("How many legs has a spider?", "I like the sea, and the sea likes me."), "[[1]]"),
        (("Name two fruits and say what they taste like.", "An apple and a lemon."), "[[5]]"),
    )

    def messages(self, conversation: Sequence[Message], references: References) -> list[Message]:
        """The examples as earlier turns, then the conversation and the references."""
        result: list[Message] = []
        for texts, grade in self._EXAMPLES:
            shown: list[Message] = [
                {"role": "assistant" if place % 2 else "user", "content": text}
                for place, text in enumerate(texts)
            ]
            result.append({"role": "user", "content": self._request(shown, ())})
            result.append({"role": "assistant", "content": grade})
        result.append({"role": "user", "content": self._request(conversation, references)})
        return result

    def _request(self, conversation: Sequence[Message], references: References) -> str:
        known = any(references)
        parts = [f"{self._TASK} {self._WITH_REFERENCE}" if known else self._TASK]
        parts += ["[Conversation]", transcript(conversation)]
        if known:
            parts += ["[Reference]", *_numbered(references)]
        return "\n\n".join([*parts, "[End]", self._FORM])


@dataclass(frozen=True, slots=True)
class FastChat:
    """Prompts of a file in the layout of FastChat's ``judge_prompts.jsonl``, for one or two turns.

    Its names say which is for what: ``single-v1``, with a reference ``single-math-v1``, and each
    with ``-multi-turn`` behind it.
    """

    name: str
    prompts: Mapping[str, tuple[str, str]]  # system and template, by name
    most_turns = 2

    def messages(self, conversation: Sequence[Message], references: References) -> list[Message]:
        """The prompt for this number of turns, with or without references, filled in."""
        said = [message for message in conversation if message["role"] != "system"]
        turns = len(said) // 2
        kind = "single-math-v1" if any(references) else "single-v1"
        system, template = self.prompts[kind if turns == 1 else f"{kind}-multi-turn"]
        values = {"question": said[0]["content"], "answer": said[1]["content"]}
        for turn in range(turns):
            values[f"question_{turn + 1}"] = said[2 * turn]["content"]
            values[f"answer_{turn + 1}"] = said[2 * turn + 1]["content"]
            values[f"ref_answer_{turn + 1}"] = references[turn] or "" if references else ""
        asked = _FIELD.sub(lambda field: values.get(field[1], field[0]), template)
        return [{"role": "system", "content": system}, {"role": "user", "content": asked}]


_NEEDED = ("single-v1", "single-math-v1", "single-v1-multi-turn", "single-math-v1-multi-turn")
_EXPECTED = '{"name": "single-v1", "system_prompt": "…", "prompt_template": "…"}'


def fastchat_prompts(
    url: str, data: bytes, records: Sequence[tuple[int, Mapping[str, object]]]
) -> FastChat:
    """The prompts of a file.

    Args:
        data: its bytes; their hash names the prompts.

    Raises:
        SourceError: a line is wrong, or one of the four prompts is missing.
    """
    found: dict[str, tuple[str, str]] = {}
    for number, record in records:
        name, system, template = (
            record.get(field) for field in ("name", "system_prompt", "prompt_template")
        )
        if not (isinstance(name, str) and isinstance(system, str) and isinstance(template, str)):
            raise SourceError(f"{url}, line {number}: expected {_EXPECTED}")
        found[name] = (system, template)
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise SourceError(f"{url}: no prompt named {', '.join(missing)}; expected {_EXPECTED}")
    return FastChat(f"file-{hashlib.sha256(data).hexdigest()[:12]}", found)


BUILT_IN: Mapping[str, JudgePrompt] = {"explain": Explained(), "short": ShortPrompt()}


def _numbered(references: References) -> list[str]:
    return [f"Turn {turn}: {text}" for turn, text in enumerate(references, 1) if text]
