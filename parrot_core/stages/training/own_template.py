"""Read from a chat template how it spells turns, and prove that ours spells them so too.

A template is a program. What it writes around messages is found by rendering probes; what was
found is proved on a panel of conversations, text by text and, where a turn is generated, token by
token. A template that can't be proved stops the training before it begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import Any

from parrot_core.errors import UserError
from parrot_core.stages.training.markup import (
    SPELLINGS,
    LearnedRole,
    Markup,
    Tokenizer,
    TurnMarkup,
)
from parrot_core.stages.training.templates import chat_template

Messages = list[dict[str, Any]]
ASKED = ("zqua", "zqub", "zquc")  # probes: texts that no template writes
ANSWERED = ("zqra", "zqrb")
SYSTEM = "zqsa"
DAY = datetime(2024, 7, 26)
"""What a template that writes today's date is told: a training ends with the text it began with."""
PANEL = (
    ("What is it?", "A parrot."),
    ("And in winter?\n\nPlease say.", "- one\n- two\n\n```py\nx = 1\n```"),
    ("¿Qué? 12345", "好的。 «Ça va»"),
    ("{{ x }} 'quoted' \"twice\"", "<b>No.</b>"),
    ("Thanks!", "…"),
)


class _Unprovable(Exception):
    """Why a template can't be used."""


def markup_from(template: str, tokenizer: Tokenizer, learned: LearnedRole, family: str) -> Markup:
    """How a chat template spells turns, for the training of one role.

    Raises:
        UserError: it can't be proved; the message says why, and what to set.
    """
    try:
        own = _Renderer(template, tokenizer, think=learned == "user")
        markup = _found(own, tokenizer, learned, family)
        return _proved(markup, own, tokenizer, learned)
    except _Unprovable as why:
        what = "the tokenizer's chat template" if family == "own" else "the template file"
        raise UserError(
            f"{what} can't be proved for training the {learned}'s turns: {why}; set `template:` of "
            f"this training to {', '.join(SPELLINGS)}, or to the path of a Jinja file"
        ) from None


class _Renderer:
    """A template's own rendering of conversations, its messages as texts or as content blocks."""

    def __init__(self, template: str, tokenizer: Tokenizer, think: bool) -> None:
        self._template, self._tokenizer = template, tokenizer
        # Our answers hold no thoughts. Some templates write "don't think" into a query then.
        self._options = {} if think else {"enable_thinking": False}
        self._blocks = False
        probe = _conversation(ASKED[:1])
        try:
            fits = ASKED[0] in self(probe)
        except _Unprovable:
            fits = False
        if not fits:
            self._blocks = True
            if ASKED[0] not in self(probe):
                raise _Unprovable("it doesn't write a message's content")

    def __call__(self, messages: Messages, prompt: bool = False) -> str:
        if self._blocks:
            messages = [
                {**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages
            ]
        try:
            text: str = self._tokenizer.apply_chat_template(
                messages,
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=prompt,
                strftime_now=DAY.strftime,
                **self._options,
            )
        except Exception as error:  # whatever a program of somebody else's may raise
            raise _Unprovable(f"{type(error).__name__}: {error}".splitlines()[0]) from None
        return text


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What a template writes between the contents of a conversation."""

    first: str  # before the first query
    to_answer: str  # from a query to its answer
    to_query: str  # from an answer to the next query
    prompt: str  # after the last query, when an answer is asked for


def _pieces(own: _Renderer) -> _Pieces:
    session = _conversation(ASKED, ANSWERED)
    first, a, b, c, d, _ = _between(own(session), [m["content"] for m in session])
    if a != c or b != d:
        raise _Unprovable("it writes turns differently by their place in the conversation")
    prompts = {own(session[:n], prompt=True).rpartition(ASKED[n // 2])[2] for n in (1, 3, 5)}
    if len(prompts) > 1:
        raise _Unprovable("it asks for an answer differently by its place in the conversation")
    return _Pieces(first, a, b, prompts.pop())


def _found(own: _Renderer, tokenizer: Tokenizer, learned: LearnedRole, family: str) -> Markup:
    pieces = _pieces(own)
    tokens = sorted((str(t) for t in tokenizer.added_tokens_decoder.values()), key=len)[::-1]
    stop_at = _upto_token(pieces.to_query, tokens)
    notes: list[str] = []
    if learned == "assistant":
        if not stop_at:
            raise _Unprovable("no token of the vocabulary ends an answer, so nothing can stop one")
        after = pieces.to_query[len(stop_at) :]
        answer_opens, thought = _answer_opening(pieces)
        notes += thought
        end = _upto_token(pieces.to_answer, tokens)
        shared = bool(end) and end.strip() == stop_at.strip()
        query_end, answer_opens = (end, answer_opens[len(end) :]) if shared else ("", answer_opens)
        answer_end = stop_at
    else:
        query_end = _upto_token(pieces.to_answer, tokens)
        answer_opens = pieces.to_answer[len(query_end) :]
        if not query_end:
            if tokenizer.eos_token is None:
                raise _Unprovable("no token ends a query, and the tokenizer has no eos_token")
            query_end = str(tokenizer.eos_token)
            notes.append(f"a query ends in {query_end}, which the template doesn't write there")
        rest = pieces.to_query[len(stop_at) :]
        answer_end, after = (
            (stop_at, rest) if _first_token(rest, tokens) >= 0 else ("", pieces.to_query)
        )
    query_opens = _common_suffix(pieces.first, after)
    query_opens = query_opens[max(_first_token(query_opens, tokens), 0) :]
    closing = after.removesuffix(query_opens)
    query_closing, answer_opens = _split_space(answer_opens, tokens)
    lead_in = pieces.first.removesuffix(query_opens)
    turns = {
        "user": _turn(query_opens, query_end, query_closing),
        "assistant": _turn(answer_opens, answer_end, closing),
    }
    bos = str(tokenizer.bos_token or "")
    once = bos and lead_in.startswith(bos) and bos not in pieces.to_answer + pieces.to_query
    prefix = bos if once else ""
    markup = Markup(
        family,
        turns,
        stop=(query_end if learned == "user" else answer_end).strip(),
        prefix=prefix,
        without_system=lead_in.removeprefix(prefix),
        notes=tuple(notes),
    )
    return _with_control(_with_system(markup, own), tokens)


def _answer_opening(pieces: _Pieces) -> tuple[str, list[str]]:
    """What opens an answer: as in a history, or with the empty thought that the prompt has."""
    history, prompt = pieces.to_answer, pieces.prompt
    if prompt == history or not prompt.startswith(history):
        return history, []
    thought = prompt[len(history) :]
    if thought.count("<think>") != thought.count("</think>"):
        return history, ["answers are trained without the thought that the template's prompt opens"]
    return prompt, [
        f"every answer keeps {thought.strip()!r}, which the template drops in a history"
    ]


def _with_system(markup: Markup, own: _Renderer) -> Markup:
    """Add the system message's spelling, if the template has one."""
    session = [{"role": "system", "content": SYSTEM}, *_conversation(ASKED[:2], ANSWERED[:1])]
    try:
        text = own(session)
    except _Unprovable:
        return markup
    if SYSTEM not in text:
        return markup
    before, between, *_ = _between(text, [m["content"] for m in session])
    user = markup.turns["user"]
    opens_query = not between.endswith(user.opening + user.lead)
    end = between if opens_query else between.removesuffix(user.opening + user.lead)
    prefix = markup.prefix if before.startswith(markup.prefix) else ""
    lead = "" if not markup.prefix or prefix else markup.prefix + markup.without_system
    return replace(
        markup,
        turns={"system": TurnMarkup(before[len(prefix) :], end), **markup.turns},
        prefix=prefix,
        without_system=lead or markup.without_system,
        system_opens_query=opens_query,
    )


def _with_control(markup: Markup, tokens: Sequence[str]) -> Markup:
    """What no message may hold: the tokens that the template writes, or all of an opening."""
    written = [markup.prefix, markup.without_system, markup.stop]
    for turn in markup.turns.values():
        written += [turn.opening + turn.lead, turn.end, turn.closing]
    held = {token for token in tokens if any(token in text for text in written)}
    wordy = {t.strip() for t in written[2:] if t.strip() and not any(k in t for k in held)}
    return replace(markup, control=tuple(sorted(held | wordy)))


def _proved(markup: Markup, own: _Renderer, tokenizer: Tokenizer, learned: LearnedRole) -> Markup:
    """The markup, once our template renders a panel of conversations as theirs does."""
    ours = chat_template(markup, learned)
    inserted = any(note.startswith("a query ends in") for note in markup.notes)
    kept = any(note.startswith("every answer keeps") for note in markup.notes)
    history = _as_history(markup, own, inserted, kept)
    notes = list(markup.notes)
    systems: list[Messages] = [[], [{"role": "system", "content": "Be brief.\nBe kind."}]]
    for system in systems if "system" in markup.turns else systems[:1]:
        for turns in range(1, len(PANEL) + 1):
            asked, answered = zip(*PANEL[:turns], strict=True)
            whole = [*system, *_conversation(asked, answered)]
            query, reply = whole[:-1], whole[-1]
            theirs = own([*whole, {"role": "user", "content": ASKED[0]}])
            mine = _render(tokenizer, chat_template(history, learned), query)
            if not theirs.startswith(mine):
                at = _alike(theirs, mine)
                raise _Unprovable(
                    f"a conversation of {turns} turns is rendered as …{theirs[at - 20 : at + 20]!r}"
                    f", where …{mine[at - 20 : at + 20]!r} was expected"
                )
            _prove_prompt(tokenizer, ours, query if learned == "assistant" else whole, learned)
            notes += _last_turn(own(whole), reply["content"], markup)
    return replace(markup, notes=tuple(dict.fromkeys(notes)))


def _as_history(markup: Markup, own: _Renderer, inserted: bool, kept: bool) -> Markup:
    """The markup without what ours is meant to write beyond the template's own history."""
    user, answer = markup.turns["user"], markup.turns["assistant"]
    if kept:
        pieces = _pieces(own)
        thought = pieces.prompt[len(pieces.to_answer) :]
        opening = (answer.opening + answer.lead).removesuffix(thought)
        answer = _turn(opening, answer.end, answer.closing)
    if inserted:
        user = replace(user, end="")
    return replace(markup, turns={**markup.turns, "user": replace(user), "assistant": answer})


def _prove_prompt(tokenizer: Tokenizer, ours: str, before: Messages, learned: LearnedRole) -> None:
    """What a model is asked with must be the tokens that training saw there."""
    prompt = _ids(tokenizer, _render(tokenizer, ours, before, prompt=True))
    said = [*before, {"role": learned, "content": PANEL[0][0]}]
    whole = _ids(tokenizer, _render(tokenizer, ours, said))
    if whole[: len(prompt)] != prompt:
        raise _Unprovable("tokens merge over the beginning of a turn")


def _last_turn(theirs: str, reply: str, markup: Markup) -> list[str]:
    """What the template writes after a conversation's last answer, if that is an end of its own."""
    after = theirs.rpartition(reply)[2]
    end = markup.turns["assistant"].end
    if after.startswith(end) or not after.strip():
        return []
    return [f"a last answer ends in {end.strip()!r} like any other, not in {after.strip()!r}"]


def _conversation(asked: Sequence[str], answered: Sequence[str] = ()) -> Messages:
    messages: Messages = []
    for n, query in enumerate(asked):
        messages.append({"role": "user", "content": query})
        if n < len(answered):
            messages.append({"role": "assistant", "content": answered[n]})
    return messages


def _between(text: str, contents: Sequence[str]) -> list[str]:
    """What stands before, between and after the contents."""
    found = []
    for content in contents:
        before, there, text = text.partition(content)
        if not there or content in text:
            raise _Unprovable("it doesn't write every message's content exactly once, in order")
        found.append(before)
    return [*found, text]


def _first_token(text: str, tokens: Sequence[str]) -> int:
    """Where the first of the tokens begins; -1 where there is none."""
    return min((at for token in tokens if token and (at := text.find(token)) >= 0), default=-1)


def _upto_token(text: str, tokens: Sequence[str]) -> str:
    """The text up to its first token, that included; nothing where there is none."""
    at = _first_token(text, tokens)
    token = next((t for t in tokens if at >= 0 and text.startswith(t, at)), "")
    return text[: at + len(token)] if token else ""


def _split_space(opening: str, tokens: Sequence[str]) -> tuple[str, str]:
    """Leading white space before a token closes the turn before; the rest opens one."""
    at = _first_token(opening, tokens)
    if at > 0 and not opening[:at].strip():
        return opening[:at], opening[at:]
    return "", opening


def _turn(opening: str, end: str, closing: str) -> TurnMarkup:
    """A turn whose generation begins with the spaces that the template writes after its opening."""
    bare = opening.rstrip(" ")
    return TurnMarkup(bare, end, lead=opening[len(bare) :], closing=closing)


def _common_suffix(one: str, other: str) -> str:
    return one[len(one) - _alike(one[::-1], other[::-1]) :]


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _render(tokenizer: Tokenizer, template: str, messages: Messages, prompt: bool = False) -> str:
    text: str = tokenizer.apply_chat_template(
        messages, chat_template=template, tokenize=False, add_generation_prompt=prompt
    )
    return text


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
