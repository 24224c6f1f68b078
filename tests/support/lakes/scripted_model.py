"""A chat model whose answers a test writes down."""

from collections.abc import Callable, Sequence

from parrot_core.engines.types import Completion, ContextFull, Message, Usage
from parrot_core.recipe import Sampling

Script = Callable[[Sequence[Message], str], str | Completion | BaseException]
"""From messages and sample to an answer (or a whole completion), or to what is raised instead."""


def cut(text: str, thinking: str | None = None) -> Completion:
    """A completion that was cut at the limit of tokens."""
    return Completion(text, "length", Usage(1, 9, 1), "e", "m", "key", thinking)


class ScriptedModel:
    """Answers by script and keeps what it was asked: ``calls`` of (sample, messages, sampling)."""

    def __init__(self, script: Script, name: str = "scripted") -> None:
        self.name = name
        self.model = f"{name}/model"
        self.calls: list[tuple[str, list[Message], Sampling]] = []
        self._script = script

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, sample: str
    ) -> Completion:
        self.calls.append((sample, list(messages), sampling))
        answer = self._script(messages, sample)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Completion):
            return answer
        usage = Usage(len(messages), len(answer.split()), 1)
        return Completion(answer, "stop", usage, self.name, self.model, f"key of {sample}")

    @property
    def samples(self) -> list[str]:
        """Names of the completions asked for, in order."""
        return [sample for sample, _, _ in self.calls]


def turning(replies: Sequence[str | None]) -> Script:
    """Says one reply after the other and begins again; None is a context that is too long."""
    asked = 0

    def script(_: Sequence[Message], __: str) -> str | BaseException:
        nonlocal asked
        asked += 1
        reply = replies[asked % len(replies)]
        return ContextFull("too long") if reply is None else reply

    return script
