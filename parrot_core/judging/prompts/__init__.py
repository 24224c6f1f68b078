"""Instructions that judge queries and write negatives: data files, one a language, versioned."""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

from parrot_core.engines.types import Message, Role

_FIELD = re.compile(r"\{(\w+)\}")


class Prompt(BaseModel):
    """One instruction, a text with {fields}.

    Attributes:
        ask: the instruction.
        examples: values of its fields with the ``reply`` to each, shown as earlier turns.
        opening: what user and assistant, in turn, have said before; a text with fields too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ask: str = Field(min_length=1)
    examples: tuple[dict[str, str], ...] = ()
    opening: tuple[str, ...] = ()

    def messages(self, **values: str) -> list[Message]:
        """Examples and opening as earlier turns, then the instruction, filled with ``values``.

        Raises:
            KeyError: a field of the text has no value.
        """
        result: list[Message] = []
        for example in self.examples:
            result.append({"role": "user", "content": _fill(self.ask, example)})
            result.append({"role": "assistant", "content": example["reply"]})
        for place, text in enumerate(self.opening):
            role: Role = "assistant" if place % 2 else "user"
            result.append({"role": role, "content": _fill(text, values)})
        result.append({"role": "user", "content": _fill(self.ask, values)})
        return result


class PromptSet(BaseModel):
    """All instructions of one language; ``prompt_set`` is stored with what they wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt_set: str
    user: str
    assistant: str
    depends: Prompt
    guess: Prompt
    hallucinate: Prompt
    pick: Prompt
    misunderstand: Prompt
    rewrite: Prompt
    rubric: Prompt

    def transcript(self, history: Sequence[Message]) -> str:
        """The history as lines "User: …" and "Assistant: …"; system messages are left out."""
        names = {"user": self.user, "assistant": self.assistant}
        return "\n".join(
            f"{names[message['role']]}: {message['content']}"
            for message in history
            if message["role"] in names
        )


def prompts_for(language: str | None) -> PromptSet:
    """The prompt set of a language; English where there is none of its own."""
    code = (language or "en").split("-")[0].lower()
    return _load(code if code in ("en", "zh") else "en")


@cache
def _load(code: str) -> PromptSet:
    text = files(__name__).joinpath(f"{code}.toml").read_text(encoding="utf-8")
    return PromptSet.model_validate(tomllib.loads(text))


def _fill(text: str, values: dict[str, str]) -> str:
    """Replace each {field} once, in one pass: braces inside a value stay as they are."""
    return _FIELD.sub(lambda field: values[field[1]], text).strip()
