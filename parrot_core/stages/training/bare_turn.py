"""Makes an instruct model write user turns: only its chat template is changed.

No training and no instruction; the cheapest writer that a trained asker has to beat.
"""

import shutil
import tempfile
from pathlib import Path

from parrot_core.errors import UserError
from parrot_core.models.references import fetch_model
from parrot_core.stages.training.markup import markup_of
from parrot_core.stages.training.templates import chat_template

_WEIGHTS = ("config.json", "*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json")


def bare_user_model(model: Path | str, folder: Path) -> Path:
    """A folder that serves the model with the template under which Parrot-Ask is served.

    Args:
        model: a folder in Hugging Face's layout, or an id that this machine has or can fetch.
        folder: where it is made; the weights are linked, and what is there whole is kept.

    Raises:
        UserError: the model can't be had here, or its chat template can't be proved for users.
    """
    if folder.is_dir():
        return folder
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise UserError(f"{model}: transformers is needed (the extra 'train'): {error}") from None
    source = model if isinstance(model, Path) else fetch_model(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".bare-", dir=folder.parent))
    try:
        for pattern in _WEIGHTS:
            for file in source.glob(pattern):
                (scratch / file.name).symlink_to(file.resolve())
        tokenizer = AutoTokenizer.from_pretrained(source)
        markup = markup_of(tokenizer, "user", "auto" if tokenizer.chat_template else "plain")
        tokenizer.chat_template = chat_template(markup, "user")
        tokenizer.eos_token = markup.stop
        tokenizer.save_pretrained(scratch)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder
