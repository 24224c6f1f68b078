"""Chat templates that mark the turns a model shall learn, and that travel with the checkpoint.

``{% generation %}`` blocks surround the content and the end token of the learned role's turns, so
that TRL puts the loss there and nowhere else (Sun et al. 2024, §3.1 for the user's turns, §3.2 for
the assistant's). Under ``add_generation_prompt`` the template opens a turn of that role:
Parrot-Ask, served with it, writes the next user query.

No template adds a system prompt of its own. SmolLM2's does when the conversation has none; a
prompt that training has and serving lacks (or the reverse) shifts every position, so ours renders
exactly the messages it is given, in training and serving alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from parrot_core.errors import UserError

LearnedRole = Literal["user", "assistant"]


class Tokenizer(Protocol):
    """What is asked of a tokenizer here; Hugging Face's has it."""

    bos_token: str | None
    eos_token: str | None

    def get_vocab(self) -> dict[str, int]:
        """Tokens and their ids."""
        ...


@dataclass(frozen=True, slots=True)
class Markup:
    """How a family of models spells a turn.

    A turn is ``opening[role] + content + end + separator``; content and end are what is learned.
    """

    family: str
    opening: Mapping[str, str]  # per role
    end: str  # the token that ends a turn; generation stops at it
    separator: str = ""
    prefix: str = ""  # once, before the first turn
    control: tuple[str, ...] = ()  # texts that must not occur inside a turn


def chatml(tokenizer: Tokenizer) -> Markup | None:
    """ChatML (SmolLM2, Qwen): ``<|im_start|>role``, content, ``<|im_end|>``."""
    start, end = "<|im_start|>", "<|im_end|>"
    if not {start, end} <= tokenizer.get_vocab().keys():
        return None
    opening = {role: f"{start}{role}\n" for role in ("system", "user", "assistant")}
    return Markup("chatml", opening, end, separator="\n", control=(start, end))


def plain(tokenizer: Tokenizer) -> Markup | None:
    """Any tokenizer with an end-of-sequence token: role names as headings."""
    if tokenizer.eos_token is None:
        return None
    names = {"system": "System", "user": "User", "assistant": "Assistant"}
    opening = {role: f"### {name}:\n" for role, name in names.items()}
    bos = tokenizer.bos_token or ""
    control = tuple(text for text in (bos, tokenizer.eos_token) if text)
    return Markup("plain", opening, tokenizer.eos_token, "\n\n", prefix=bos, control=control)


FAMILIES = (chatml, plain)
"""Tried in this order; the first that knows the tokenizer's tokens is taken."""


def markup_of(tokenizer: Tokenizer) -> Markup:
    """Find how this tokenizer's model spells a turn.

    Raises:
        UserError: no family fits, not even the plain one.
    """
    for family in FAMILIES:
        markup = family(tokenizer)
        if markup is not None:
            return markup
    raise UserError(
        "the base model's tokenizer has neither ChatML tokens nor an end-of-sequence token; "
        "expected a tokenizer with an eos_token"
    )


def chat_template(markup: Markup, learned: LearnedRole, learn_first_query: bool = True) -> str:
    """Write the Jinja template that marks and generates the turns of one role.

    Args:
        markup: how the model's family spells a turn.
        learned: the role whose content and end token carry the loss.
        learn_first_query: whether the opening query counts (only where ``learned`` is ``user``).
    """
    opening = ", ".join(f"{_quote(role)}: {_quote(text)}" for role, text in markup.opening.items())
    condition = f"message['role'] == {_quote(learned)}"
    if learned == "user" and not learn_first_query:
        condition += " and seen.queries > 1"
    end, separator = _quote(markup.end), _quote(markup.separator)
    content = "{{- message['content'] | trim -}}{{- " + end + " -}}"
    return "\n".join(
        (
            "{%- set opening = {" + opening + "} -%}",
            "{%- set seen = namespace(queries=0) -%}",
            "{{- " + _quote(markup.prefix) + " -}}",
            "{%- for message in messages -%}",
            "{%- if message['role'] == 'user' -%}",
            "{%- set seen.queries = seen.queries + 1 -%}",
            "{%- endif -%}",
            "{{- opening[message['role']] -}}",
            "{%- if " + condition + " -%}",
            "{%- generation -%}" + content + "{%- endgeneration -%}",
            "{%- else -%}",
            content,
            "{%- endif -%}",
            "{{- " + separator + " -}}",
            "{%- endfor -%}",
            "{%- if add_generation_prompt -%}{{- opening[" + _quote(learned) + "] -}}{%- endif -%}",
        )
    )


def _quote(text: str) -> str:
    """Write a Jinja string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
