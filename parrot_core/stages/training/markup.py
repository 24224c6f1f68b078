"""How families of models spell a turn: which texts and tokens stand around a message's content."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from parrot_core.errors import UserError

LearnedRole = Literal["user", "assistant"]
ROLES = ("system", "user", "assistant")


class Tokenizer(Protocol):
    """What is asked of a tokenizer here; Hugging Face's has it.

    One with a chat template of its own has ``chat_template`` and ``apply_chat_template`` too.
    """

    bos_token: Any
    eos_token: Any

    def get_vocab(self) -> dict[str, int]:
        """Tokens and their ids."""
        ...


@dataclass(frozen=True, slots=True)
class TurnMarkup:
    """One role's turn: ``opening + lead + content + end + closing``.

    ``lead + content + end`` is what a model of that role writes, and so what it learns.
    """

    opening: str
    end: str
    lead: str = ""  # e.g. the space that SentencePiece makes part of the first word
    closing: str = ""


@dataclass(frozen=True, slots=True)
class Markup:
    """How a family of models spells a conversation."""

    family: str
    turns: Mapping[str, TurnMarkup]  # by role
    stop: str  # the token at which generation stops; it ends the learned role's turns
    prefix: str = ""  # once, before the first turn
    control: tuple[str, ...] = ()  # texts that must not occur inside a turn
    default_system: str | None = None  # for a conversation that brings no system message
    system_opens_query: bool = False  # a system message is the beginning of the query after it


Family = Callable[[Tokenizer, LearnedRole], Markup | None]


def chatml(tokenizer: Tokenizer, learned: LearnedRole) -> Markup | None:
    """ChatML (SmolLM2, Qwen): ``<|im_start|>role``, content, ``<|im_end|>``.

    Qwen's models are given the system prompt of their own template when a conversation has none,
    as they were in their own training. Others are not: see ``templates``.
    """
    start, end = "<|im_start|>", "<|im_end|>"
    vocabulary = tokenizer.get_vocab()
    if not {start, end} <= vocabulary.keys():
        return None
    turns = {role: TurnMarkup(f"{start}{role}\n", end, closing="\n") for role in ROLES}
    qwen = type(tokenizer).__name__.startswith("Qwen") or "<|object_ref_start|>" in vocabulary
    return Markup(
        "qwen" if qwen else "chatml",
        turns,
        end,
        control=(start, end),
        default_system=_own_system(tokenizer, turns["system"]) if qwen else None,
    )


def llama3(tokenizer: Tokenizer, learned: LearnedRole) -> Markup | None:
    """Llama 3: role names between header tokens, ``<|eot_id|>`` at the end of a turn."""
    start, stop, end = "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"
    if not {start, stop, end} <= tokenizer.get_vocab().keys():
        return None
    bos = tokenizer.bos_token or ""
    control = tuple(text for text in (start, stop, end, bos) if text)
    turns = {role: TurnMarkup(f"{start}{role}{stop}\n\n", end) for role in ROLES}
    return Markup("llama3", turns, end, prefix=bos, control=control)


def llama2(tokenizer: Tokenizer, learned: LearnedRole) -> Markup | None:
    """Llama-2-Chat: ``<s>[INST] query [/INST] response </s>``, a system message in the query.

    Known by its own template, for base and chat model share their vocabulary. Where the *user's*
    turns are learned they end in ``</s>`` before ``[/INST]``: the family has no other token at
    which a server could stop.
    """
    own = getattr(tokenizer, "chat_template", None)
    if not isinstance(own, str) or "[INST]" not in own or "<<SYS>>" not in own:
        return None
    bos, eos = tokenizer.bos_token or "<s>", tokenizer.eos_token or "</s>"
    query_end = eos if learned == "user" else ""
    turns = {
        "system": TurnMarkup(f"{bos}[INST]", "\n<</SYS>>\n\n", lead=" <<SYS>>\n"),
        "user": TurnMarkup(f"{bos}[INST]", query_end, lead=" ", closing=" [/INST]"),
        "assistant": TurnMarkup("", f" {eos}", lead=" "),
    }
    control = (bos, eos, "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
    return Markup("llama2", turns, eos, control=control, system_opens_query=True)


def plain(tokenizer: Tokenizer, learned: LearnedRole) -> Markup | None:
    """Any tokenizer with an end-of-sequence token, base models above all: roles as headings."""
    if tokenizer.eos_token is None:
        return None
    eos, bos = str(tokenizer.eos_token), str(tokenizer.bos_token or "")
    names = {"system": "### System:", "user": "### User:", "assistant": "### Assistant:"}
    turns = {role: TurnMarkup(f"{name}\n", eos, closing="\n\n") for role, name in names.items()}
    control = tuple(text for text in (bos, eos, *names.values()) if text)
    return Markup("plain", turns, eos, prefix=bos, control=control)


FAMILIES: tuple[Family, ...] = (chatml, llama3, llama2, plain)
"""Tried in this order; the first that knows the tokenizer is taken."""


def markup_of(tokenizer: Tokenizer, learned: LearnedRole) -> Markup:
    """Find how this tokenizer's model spells a turn.

    Raises:
        UserError: no family fits, not even the plain one.
    """
    for family in FAMILIES:
        markup = family(tokenizer, learned)
        if markup is not None:
            return markup
    raise UserError(
        "the base model's tokenizer has no chat tokens that are known here, nor an end-of-sequence "
        "token; expected a tokenizer with an eos_token"
    )


def _own_system(tokenizer: Any, system: TurnMarkup) -> str | None:
    """The system prompt that a tokenizer's own template gives to a conversation without one."""
    if getattr(tokenizer, "chat_template", None) is None:
        return None
    query = [{"role": "user", "content": "?"}]
    text: str = tokenizer.apply_chat_template(query, tokenize=False)
    _, opened, rest = text.partition(system.opening)
    content, ended, _ = rest.partition(system.end)
    return content.strip() or None if opened and ended else None
