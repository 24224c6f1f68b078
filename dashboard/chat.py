"""A conversation as it was held: who wrote what, and which queries lean on what was said before."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from nicegui import ui

from dashboard.preferences import prefer, preference
from dashboard.rendered import rendered
from dashboard.widgets import block, body, button, line
from parrot_core.browse.query import SearchQuery
from parrot_core.context import Cue, detect
from parrot_core.engines.types import Message as ChatMessage
from parrot_core.text.sanitise import CLIP, sanitise

LONGEST = 200_000
"""Characters of one message that the page ever shows: a browser must live."""

READ_AS = "read-as"
RAW, RENDERED = "raw", "rendered"
READINGS = ((RAW, "as written"), (RENDERED, "rendered"))

THINKING = re.compile(r"\s*<(think|thinking|reasoning)>(.*?)</\1>\s*", re.DOTALL)

Message = Mapping[str, str]
Provenance = Mapping[str, Any]
Pieces = Sequence[tuple[str, bool]]
"""A text in pieces, each with whether it is marked."""


@dataclass(frozen=True, slots=True)
class WayOfReading:
    """How a conversation is shown."""

    language: str | None = None  # the session's, for the rules that mark dependent queries
    query: SearchQuery | None = None  # what was searched for, to be marked
    cues: bool = True  # whether to mark queries that lean on the context
    folded: int = 0  # leading messages that are folded away
    blind: bool = False  # whether it is hidden who wrote what


def chat(
    messages: Sequence[Message],
    provenance: Sequence[Provenance] | None = None,
    reading: WayOfReading | None = None,
) -> None:
    """Show a conversation.

    Args:
        messages: ``{role, content}``, in order.
    """
    how = reading or WayOfReading()
    if how.folded:
        with folded(f"The {how.folded} messages before"):
            _talk(messages[: how.folded], provenance, how, 0)
    _talk(messages[how.folded :], (provenance or [])[how.folded :], how, how.folded, messages)


def _talk(
    messages: Sequence[Message],
    provenance: Sequence[Provenance] | None,
    how: WayOfReading,
    first: int,
    whole: Sequence[Message] = (),
) -> None:
    every = whole or messages
    turn = sum(m["role"] == "user" for m in every[:first])
    with block("talk", "ol"):
        for number, message in enumerate(messages):
            turn += message["role"] == "user"
            source = provenance[number] if provenance and number < len(provenance) else None
            cue = None
            if how.cues and message["role"] == "user" and turn > 1:
                before = cast(Sequence[ChatMessage], every[: first + number])
                cue = next(iter(detect(message["content"], before, how.language).cues), None)
            by = "" if how.blind else _by(message["role"], source)
            bubble(message["role"], message["content"], by, cue, how.query)


@contextmanager
def folded(what: str) -> Iterator[None]:
    """A part that is there, but folded away; no script is needed to open it."""
    with block("folded", "details"):
        with block("soft small", "summary"):
            ui.label(what)
        yield


def read_as(shown: Callable[[], None]) -> Callable[[], None]:
    """The choice between the raw text and the rendered one; ``shown`` builds what it changes.

    Returns:
        Builds it anew: there is something else to read.
    """
    choice = block("row end choice").props('role="group" aria-label="Show texts"')

    def choose(how: str) -> None:
        prefer(READ_AS, how)
        build()

    with choice:
        buttons = {how: button(said, partial(choose, how), "flat") for how, said in READINGS}

    def build() -> None:
        for how, made in buttons.items():
            chosen = preference(READ_AS, RAW) == how
            made.props(f"aria-pressed={'true' if chosen else 'false'}")
        place.clear()
        with place:
            shown()

    place = block("")
    build()
    return build


def bubble(
    role: str, content: str, by: str, cue: Cue | None = None, query: SearchQuery | None = None
) -> None:
    """One message; ``cue`` is the part of it that leans on the context."""
    kind = role if role in ("user", "assistant", "system") else "system"
    with block(f"bubble {kind}", "li"):
        with block("row small by"):
            line(role, "role")
            line(by, "soft grow", limit=160)
            if cue is not None:
                ui.label(f"depends on context: {cue.kind}").classes("tag context")
        if role == "system":
            with folded(f"System prompt, {len(content):,} characters"):
                long_text(content, query=query)
        else:
            _said(content, cue, query)


def _said(content: str, cue: Cue | None, query: SearchQuery | None) -> None:
    """A message, what it thinks before it speaks folded away."""
    thought = THINKING.match(content)
    if thought is None or (cue is not None and cue.span[0] < thought.end()):
        long_text(content, cue, query)
        return
    with folded(f"Thinking, {len(thought[2]):,} characters"):
        long_text(thought[2].strip(), query=query)
    long_text(content[thought.end() :], query=query)


def long_text(content: str, cue: Cue | None = None, query: SearchQuery | None = None) -> None:
    """A text, clipped, with the rest behind a button."""
    place = block("whole")
    with place:
        _text(content, CLIP, cue, query)
    if len(content) > CLIP:

        def show_all() -> None:
            place.clear()
            with place:
                _text(content, LONGEST, cue, query)
            more.delete()

        said = "Show all" if len(content) <= LONGEST else f"Show {LONGEST:,}"
        more = ui.button(f"{said} of {len(content):,} characters", on_click=show_all, color=None)
        more.props("flat dense no-caps size=sm").classes("act flat")


def _text(content: str, limit: int, cue: Cue | None, query: SearchQuery | None) -> None:
    if preference(READ_AS, RAW) == RENDERED:
        ui.html(rendered(content, limit), sanitize=False).classes("rendered").props('dir="auto"')
        return
    spans = [cue.span] if cue is not None and cue.span[1] <= limit else []
    if query is not None:
        spans = query.spans(content[:limit])
    if spans:
        pieces(pieces_of(content, spans), limit)
    else:
        body(content, limit=limit)


def pieces_of(content: str, spans: Sequence[tuple[int, int]]) -> Pieces:
    """A text in pieces: those within spans are marked."""
    found, at = [], 0
    for start, end in spans:
        found += [(content[at:start], False), (content[start:end], True)]
        at = end
    return [(piece, marked) for piece, marked in [*found, (content[at:], False)] if piece]


def pieces(parts: Pieces, limit: int = CLIP) -> None:
    """A text with marked pieces, each of them a text node."""
    left = limit
    with block("text").props('dir="auto"'):
        for piece, marked in parts:
            with block("piece", "mark" if marked else "span"):
                ui.label(sanitise(piece, max(0, left)))
            left -= len(piece)
            if left <= 0:
                break


def _by(role: str, source: Provenance | None) -> str:
    if source is None:
        return ""
    if not source.get("engine"):
        return "a human, as recorded" if role == "user" else "as recorded"
    model = str(source.get("model") or "").rsplit("/", 1)[-1]
    tokens = source.get("completion_tokens")
    ended = source.get("finish_reason")
    parts = [f"{source['engine']} · {model}"]
    parts += [f"{tokens} tokens"] if tokens else []
    parts += [f"ended by {ended}"] if ended and ended != "stop" else []
    return " · ".join(parts)
