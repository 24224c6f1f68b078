"""Real conversations cut before a human's follow-up: what the proof of an asker asks about."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from parrot_core.analysis.statistics.sampling import Draw, lot
from parrot_core.analysis.statistics.session import Session
from parrot_core.context.detect import detector_language
from parrot_core.engines.types import Message
from parrot_core.stages.base import Row
from parrot_core.text.control_tokens import find_control_token


@dataclass(frozen=True, slots=True)
class HeldOutContext:
    """A conversation up to an assistant's answer, and what the human asked next."""

    id: str  # "<session>/t<turn>", the turn being that of the query
    session: str  # the group that its parts, and sessions like it, share
    language: str | None
    turn: int
    history: tuple[Message, ...]
    query: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """What fits: whole turns are left out beyond it, oldest first, for all writers alike."""

    contexts: int = 200
    history_chars: int = 3000
    query_chars: int = 1500  # of the human's own follow-up


@dataclass(frozen=True, slots=True)
class Drawn:
    """The contexts that were drawn, and the sessions that gave none, by reason."""

    contexts: tuple[HeldOutContext, ...]
    sessions: int
    left_out: dict[str, int]


def draw_contexts(
    sessions: Iterable[Session], learned: Collection[str], bounds: Bounds, seed: int
) -> Drawn:
    """Draw one follow-up of each held-out session, so that contexts are independent.

    Args:
        learned: ids of sessions that a model under test has learned from; they are left out.

    Returns:
        Accounts close: every session gives a context or is in ``left_out``: ``learned``,
        ``no_follow_up``, ``unfit`` (no follow-up is short enough, in a language that the rules
        read, free of control tokens and after an answer), ``same_session`` (another part of the
        session was drawn), ``over_limit``.
    """
    left_out: Counter[str] = Counter()
    by_session: dict[str, HeldOutContext] = {}
    count = 0
    for session in sessions:
        count += 1
        if session.id in learned:
            left_out["learned"] += 1
            continue
        if session.turns < 2:
            left_out["no_follow_up"] += 1
            continue
        context = _one_of(session, bounds, seed)
        if context is None:
            left_out["unfit"] += 1
            continue
        there = by_session.get(context.session)
        if there is not None:
            left_out["same_session"] += 1
            context = min(there, context, key=lambda each: lot(seed, "part", each.id))
        by_session[context.session] = context
    draw: Draw[HeldOutContext] = Draw(bounds.contexts, seed, "contexts")
    for name, context in by_session.items():
        draw.offer(name, context)
    drawn = tuple(draw.items())
    left_out["over_limit"] += len(by_session) - len(drawn)
    return Drawn(drawn, count, {reason: n for reason, n in sorted(left_out.items()) if n})


@dataclass(frozen=True, slots=True)
class SessionEdges:
    """How a context's session begins and ends, where that is known and fits."""

    opening: str = ""  # its first query
    ending: tuple[Message, ...] = ()  # the conversation up to the last answer, after which it ended
    turns: int = 0


def edges_of(
    rows: Iterable[Row], contexts: Sequence[HeldOutContext], bounds: Bounds
) -> dict[str, SessionEdges]:
    """The edges of contexts' sessions by the context's id, read from rows of ``conversations``."""
    ids = {context.id.rpartition("/t")[0]: context.id for context in contexts}
    found = {}
    for row in rows:
        if row["id"] not in ids:
            continue
        messages: tuple[Message, ...] = tuple(
            message for message in row["messages"] if message["role"] != "system"
        )
        opening = messages[0]["content"].strip() if row["opens_session"] and messages else ""
        if len(opening) > bounds.query_chars or find_control_token(opening):
            opening = ""
        ended = row["ends_session"] and messages and messages[-1]["role"] == "assistant"
        ending = _within(messages, bounds.history_chars) if ended else ()
        if any(find_control_token(message["content"]) for message in ending):
            ending = ()
        turns = sum(message["role"] == "user" for message in messages)
        found[ids[row["id"]]] = SessionEdges(opening, ending, turns)
    return found


def _one_of(session: Session, bounds: Bounds, seed: int) -> HeldOutContext | None:
    """The follow-up with the lowest lot among those that fit."""
    turns = range(2, session.turns + 1)
    for turn in sorted(turns, key=lambda turn: lot(seed, "turn", f"{session.id}/t{turn}")):
        context = _cut(session, turn, bounds)
        if context is not None:
            return context
    return None


def _cut(session: Session, turn: int, bounds: Bounds) -> HeldOutContext | None:
    query = session.queries[turn - 1].strip()
    history = _within(session.history(turn), bounds.history_chars)
    fits = 0 < len(query) <= bounds.query_chars and detector_language(query, session.language)
    if not fits or not history or history[-1]["role"] != "assistant":
        return None
    if any(find_control_token(text) for text in (query, *(m["content"] for m in history))):
        return None
    id, whole = f"{session.id}/t{turn}", session.whole
    return HeldOutContext(id, whole, session.language, turn, history, query)


def _within(history: tuple[Message, ...], most: int) -> tuple[Message, ...]:
    """The newest whole turns that have at most so many characters together."""
    kept: tuple[Message, ...] = ()
    chars = 0
    for position in range(len(history) - 1, -1, -1):
        chars += len(history[position]["content"])
        if chars > most:
            break
        if history[position]["role"] == "user":
            kept = history[position:]
    return kept
