"""How texts are counted in tokens: plain words by default, or a model's own tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from parrot_core.errors import SourceError
from parrot_core.models.references import outside_model
from parrot_core.text.similarity import tokens

WORDS = "words"


class Counter(Protocol):
    """Counts tokens; ``name`` is shown with every figure that rests on it."""

    @property
    def name(self) -> str: ...

    def counts(self, texts: Sequence[str]) -> list[int]: ...


class Words:
    """Runs of letters and digits, and single characters where a script has no spaces.

    Needs no download and no model. In English a model's tokens are about 1.3 times as many.
    """

    name = WORDS

    def counts(self, texts: Sequence[str]) -> list[int]:
        return [len(tokens(text)) for text in texts]


class ModelTokens:
    """A Hugging Face tokenizer, without special tokens."""

    def __init__(self, name: str, folder: Path | str) -> None:
        """Load ``tokenizer.json`` of a folder, or what a hub has cached under this id.

        Raises:
            SourceError: there is none.
        """
        from tokenizers import Tokenizer

        self.name = name
        try:
            if isinstance(folder, Path):
                self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            else:
                self._tokenizer = Tokenizer.from_pretrained(folder)
        except Exception as error:  # the Rust library raises bare exceptions
            why = str(error).splitlines()[0]
            raise SourceError(f"{name}: no tokenizer.json can be read there ({why})") from None

    def counts(self, texts: Sequence[str]) -> list[int]:
        clean = [text.encode(errors="replace").decode() for text in texts]
        found = self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        return [len(each.ids) for each in found]


def counter_of(ref: str) -> Counter:
    """The counter that ``ref`` names: ``words``, a model's folder or package, or a hub's id."""
    return Words() if ref == WORDS else ModelTokens(ref, outside_model(ref))
