"""One session: answer, ask, answer, ask … until its target number of turns (paper §3.2).

A session is a coroutine that knows two callbacks and nothing of engines, queues or storage.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from parrot_core.engines.types import Completion, Message, RowError
from parrot_core.stages.fitness import ControlTokens, fit_text
from parrot_core.text.control_tokens import END_OF_SESSION, defuse_control_tokens

Speak = Callable[[list[Message], int], Awaitable[Completion]]
"""Writes the next message, given the conversation so far and the number of the turn it is for."""
Guard = Callable[[str, list[Message]], str]
"""What is wrong with a query after a conversation; empty if nothing is."""
Speaker = Literal["ask", "answer"]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A finished session: every query in it has its response.

    Attributes:
        messages: the conversation.
        completions: one a message; None for the seed, which a human wrote.
        end_reason: ``max_turns``, ``asker_ended``, ``empty_query``, ``repeated_query``,
            ``guard_…`` (see ``guards``), or a reason of ``stages.reasons.REASONS`` why a
            completion was refused or unfit.
        detail: more about that, in words.
        ended_by: who couldn't go on; None if the session is complete.
        guarded: the guards that asked for a query once more.
    """

    messages: list[Message]
    completions: list[Completion | None]
    end_reason: str
    detail: str = ""
    ended_by: Speaker | None = None
    guarded: tuple[str, ...] = ()

    @property
    def n_turns(self) -> int:
        return len(self.messages) // 2


async def converse(
    opening: str,
    ask: Speak,
    answer: Speak,
    max_turns: int,
    *,
    keep_truncated: bool = False,
    control_tokens: ControlTokens = "defuse",
    guard: Guard | None = None,
    ask_again: Speak | None = None,
    end_from: int = 1,
) -> Dialogue:
    """Let asker and answerer talk until ``max_turns``, or until one of them can't go on.

    A query that stays without a response is dropped, so that a dialogue always ends with an
    answer. A completion that isn't fit to train on ends the session before it. Errors that concern
    more than this session propagate.

    Args:
        opening: the first query; control tokens in it are defused.
        ask: writes the next query; the conversation it gets ends with a response.
        answer: writes the response; the conversation it gets ends with a query.
        max_turns: turns after which the session is complete.
        keep_truncated: let the session go on after a text that was cut at the limit of tokens.
        control_tokens: what to do with one in a response. In a query it always ends the session:
            an asker that writes one has lost the thread.
        guard: looks at each query; one that it objects to is asked for once more.
        ask_again: writes that second query.
        end_from: turns before which the asker's end mark is asked about once more, as by a guard
            ``end``; a second mark ends the session.
    """
    messages: list[Message] = []
    completions: list[Completion | None] = []
    query, asked = defuse_control_tokens(opening), None
    asked_before: set[str] = set()
    guarded: list[str] = []

    def dialogue(end_reason: str, detail: str = "", ended_by: Speaker | None = None) -> Dialogue:
        return Dialogue(messages, completions, end_reason, detail, ended_by, tuple(guarded))

    for turn in range(1, max_turns + 1):
        asked_before.add(_normalised(query))
        conversation: list[Message] = [*messages, {"role": "user", "content": query}]
        try:
            response = await answer(conversation, turn)
            text = fit_text(response, keep_truncated=keep_truncated, control_tokens=control_tokens)
        except RowError as error:
            return dialogue(error.reason, f"the answer of turn {turn}: {error}", "answer")
        messages = [*conversation, {"role": "assistant", "content": text}]
        completions += [asked, response]
        if turn == max_turns:
            break
        try:
            asked = await ask(list(messages), turn + 1)
            ended = asked.text.strip() == END_OF_SESSION
            problem = guard(asked.text, messages) if guard and not ended else ""
            early = "end" if ended and turn < end_from else ""
            if (problem or early) and ask_again is not None:
                guarded.append(problem or early)
                asked = await ask_again(list(messages), turn + 1)
                ended = asked.text.strip() == END_OF_SESSION
                problem = guard(asked.text, messages) if guard and not ended else ""
            if ended:
                return dialogue("asker_ended")
            query = fit_text(
                asked, keep_truncated=keep_truncated, control_tokens="end", empty="empty_query"
            )
        except RowError as error:
            return dialogue(error.reason, f"the query of turn {turn + 1}: {error}", "ask")
        if problem:
            detail = f"the query of turn {turn + 1}, asked for twice: {query[:200]}"
            return dialogue(f"guard_{problem}", detail, "ask")
        if _normalised(query) in asked_before:
            return dialogue(
                "repeated_query", f"the query of turn {turn + 1} was asked before", "ask"
            )
    return dialogue("max_turns")


def _normalised(query: str) -> str:
    return " ".join(query.casefold().split())
