"""How a model's turns are spelled: which texts and tokens stand around a message's content."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from parrot_core.errors import UserError

LearnedRole = Literal["user", "assistant"]
ROLES = ("system", "user", "assistant")


class Tokenizer(Protocol):
    """What is asked of a tokenizer here; Hugging Face's has it, and takes a text when called."""

    bos_token: Any
    eos_token: Any
    chat_template: Any

    @property
    def added_tokens_decoder(self) -> Any:
        """Ids and the tokens that were added to the vocabulary, such as those of a template."""
        ...

    def get_vocab(self) -> dict[str, int]: ...

    def apply_chat_template(self, *arguments: Any, **options: Any) -> Any: ...

    def __call__(self, *arguments: Any, **options: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class TurnMarkup:
    """One role's turn: ``opening + lead + content + end + closing``.

    ``lead + content + end`` is what a model of that role writes, and so what it learns. ``closing``
    is written only where something follows.
    """

    opening: str
    end: str
    lead: str = ""  # e.g. the space that SentencePiece makes part of the first word
    closing: str = ""


@dataclass(frozen=True, slots=True)
class Markup:
    """How a conversation is spelled for the training of one role."""

    family: str  # own (the tokenizer's template), file, or a name in SPELLINGS
    turns: Mapping[str, TurnMarkup]  # by role; without `system` where the template has none
    stop: str  # the token at which generation stops; it ends the learned role's turns
    prefix: str = ""  # once, before the first turn
    without_system: str = ""  # after the prefix, where no system message comes first
    control: tuple[str, ...] = ()  # texts that must not occur inside a turn
    system_opens_query: bool = False  # a system message is the beginning of the query after it
    notes: tuple[str, ...] = ()  # where training and serving differ from the tokenizer's template


Spelling = Callable[[Tokenizer, LearnedRole], Markup]


def plain(tokenizer: Tokenizer, learned: LearnedRole) -> Markup:
    """Any tokenizer with an end-of-sequence token, base models above all: roles as headings."""
    if tokenizer.eos_token is None:
        raise UserError(
            "template: plain ends a turn in the tokenizer's end-of-sequence token, and this one "
            "has none; expected a tokenizer with an eos_token"
        )
    eos, bos = str(tokenizer.eos_token), str(tokenizer.bos_token or "")
    names = {"system": "### System:", "user": "### User:", "assistant": "### Assistant:"}
    turns = {role: TurnMarkup(f"{name}\n", eos, closing="\n\n") for role, name in names.items()}
    control = tuple(text for text in (bos, eos, *names.values()) if text)
    return Markup("plain", turns, eos, prefix=bos, control=control)


def chatml(tokenizer: Tokenizer, learned: LearnedRole) -> Markup:
    """ChatML, for base models that have its tokens: ``<|im_start|>role``, text, ``<|im_end|>``."""
    start, end = _needed(tokenizer, "chatml", "<|im_start|>", "<|im_end|>")
    turns = {role: TurnMarkup(f"{start}{role}\n", end, closing="\n") for role in ROLES}
    return Markup("chatml", turns, end, control=(start, end))


def llama3(tokenizer: Tokenizer, learned: LearnedRole) -> Markup:
    """Llama 3, for its base models: role names between header tokens, ``<|eot_id|>`` at the end."""
    start, stop, end = _needed(
        tokenizer, "llama3", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"
    )
    bos = str(tokenizer.bos_token or "")
    control = tuple(text for text in (start, stop, end, bos) if text)
    turns = {role: TurnMarkup(f"{start}{role}{stop}\n\n", end) for role in ROLES}
    return Markup("llama3", turns, end, prefix=bos, control=control)


SPELLINGS: dict[str, Spelling] = {"plain": plain, "chatml": chatml, "llama3": llama3}
"""What a recipe may name for a tokenizer without a chat template; never taken unasked."""


def markup_of(tokenizer: Tokenizer, learned: LearnedRole, template: str = "auto") -> Markup:
    """Find how turns are spelled for a training.

    Args:
        learned: whose turns carry the loss.
        template: ``auto`` takes the tokenizer's own chat template, where it can be proved; else a
            name in :data:`SPELLINGS`, or the path of a Jinja file, which is proved likewise.

    Raises:
        UserError: it can't be proved, and what to set instead.
    """
    from parrot_core.stages.training.own_template import markup_from
    from parrot_core.stages.training.templates import published_markup

    if template in SPELLINGS:
        return SPELLINGS[template](tokenizer, learned)
    if template != "auto":
        return markup_from(_read(template), tokenizer, learned, "file")
    own = tokenizer.chat_template
    if isinstance(own, dict):
        own = own.get("default")
    if not isinstance(own, str) or not own.strip():
        raise UserError(
            "the base model's tokenizer has no chat template; set `template:` of this training to "
            f"{', '.join(SPELLINGS)}, or to the path of a Jinja file"
        )
    return published_markup(own, learned) or markup_from(own, tokenizer, learned, "own")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"template: {path} can't be read ({error}); expected auto, {', '.join(SPELLINGS)}, or "
            "the path of a Jinja file"
        ) from None


def _needed(tokenizer: Tokenizer, name: str, *tokens: str) -> tuple[str, ...]:
    missing = [token for token in tokens if token not in tokenizer.get_vocab()]
    if missing:
        raise UserError(f"template: {name} needs the tokens {', '.join(missing)} in the vocabulary")
    return tokens
