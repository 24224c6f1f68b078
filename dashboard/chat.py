"""A conversation as it was held: who wrote what, and which queries lean on what was said before."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from nicegui import ui

from dashboard.widgets import block, body, line
from parrot_core.context import Cue, detect
from parrot_core.engines.types import Message as ChatMessage
from parrot_core.text.sanitise import CLIP, sanitise

LONGEST = 200_000
"""Characters of one message that the page ever shows: a browser must live."""

Message = Mapping[str, str]
Provenance = Mapping[str, Any]


def chat(
    messages: Sequence[Message],
    provenance: Sequence[Provenance] | None = None,
    *,
    language: str | None = None,
    marked: bool = True,
) -> None:
    """Show a conversation.

    Args:
        messages: ``{role, content}``, in order.
        provenance: one entry a message, where the dataset has them.
        language: the session's, for the rules that mark context-dependent queries.
        marked: whether to mark them.
    """
    turn = 0
    with block("talk", "ol"):
        for position, message in enumerate(messages):
            turn += message["role"] == "user"
            source = provenance[position] if provenance and position < len(provenance) else None
            cue = None
            if marked and message["role"] == "user" and turn > 1:
                before = cast(Sequence[ChatMessage], messages[:position])
                cue = next(iter(detect(message["content"], before, language).cues), None)
            bubble(message["role"], message["content"], _by(message["role"], source), cue)


def bubble(role: str, content: str, by: str, cue: Cue | None = None) -> None:
    """One message; ``cue`` is the part of it that leans on the context."""
    kind = role if role in ("user", "assistant", "system") else "system"
    with block(f"bubble {kind}", "li"):
        with block("row small by"):
            line(role, "role")
            line(by, "soft grow", limit=160)
            if cue is not None:
                ui.label(f"depends on context: {cue.kind}").classes("tag context")
        long_text(content, cue)


def long_text(content: str, cue: Cue | None = None) -> None:
    """A text, clipped, with the rest behind a button."""
    place = block("whole")
    with place:
        _text(content, CLIP, cue)
    if len(content) > CLIP:

        def show_all() -> None:
            place.clear()
            with place:
                _text(content, LONGEST, cue)
            button.delete()

        said = "Show all" if len(content) <= LONGEST else f"Show {LONGEST:,}"
        button = ui.button(f"{said} of {len(content):,} characters", on_click=show_all)
        button.props("flat dense no-caps size=sm")


def _text(content: str, limit: int, cue: Cue | None) -> None:
    if cue is None or cue.span[1] > limit:
        body(content, limit=limit)
        return
    start, end = cue.span
    with block("text"):
        for piece, tag in (
            (sanitise(content[:start]), "span"),
            (sanitise(content[start:end]), "mark"),
            (sanitise(content[end:], limit), "span"),
        ):
            with block("piece", tag):
                ui.label(piece)


def _by(role: str, source: Provenance | None) -> str:
    """Who wrote a message, in words."""
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
