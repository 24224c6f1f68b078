"""Find the shape of a model without loading it: from its config.json, or a table of common ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parrot_core.errors import SourceError
from parrot_core.lake.lake import version_folder
from parrot_core.lake.packaged_files import is_packaged, packaged_file
from parrot_core.lake.run import Run
from parrot_core.models.references import model_cache, unpacked_folder
from parrot_core.stages.training.estimate import Shape

KNOWN: Mapping[str, Shape] = {
    "meta-llama/Llama-2-7b-hf": Shape(32, 4096, 11008, 32000, 32, 32, 128),
    "meta-llama/Llama-2-13b-hf": Shape(40, 5120, 13824, 32000, 40, 40, 128),
    "meta-llama/Llama-2-70b-hf": Shape(80, 8192, 28672, 32000, 64, 8, 128),
    "meta-llama/Meta-Llama-3-8B": Shape(32, 4096, 14336, 128256, 32, 8, 128),
}
"""As published in the models' config.json; a plan may be made where no hub can be reached."""


def shape_of(ref: str, run: Run) -> Shape | None:
    """The shape of the model that a recipe's reference names; None when its config isn't here.

    A model of this run that doesn't exist yet has the shape of the one it will be trained from.
    """
    if ref.startswith("lake:"):
        return _of_lake(ref, run)
    if ref in KNOWN:
        return KNOWN[ref]
    config = _config_file(ref)
    return parse_shape(json.loads(config.read_text(encoding="utf-8"))) if config else None


def parse_shape(config: Mapping[str, Any]) -> Shape | None:
    """A Hugging Face config as a shape; None when it is of another kind of model."""
    try:
        heads = int(config["num_attention_heads"])
        return Shape(
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            mlp=int(config["intermediate_size"]),
            vocabulary=int(config["vocab_size"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head=int(config.get("head_dim") or int(config["hidden_size"]) // heads),
            tied=bool(config.get("tie_word_embeddings", False)),
        )
    except KeyError:
        return None


def _of_lake(ref: str, run: Run) -> Shape | None:
    name, _, pinned = ref.removeprefix("lake:").partition("@")
    version = pinned or run.version_of(name)
    if run.lake.published("model", name, version):
        manifest = run.lake.manifest("model", name, version)
        folder = version_folder("model", name, version)
        for entry in manifest.files:
            if entry.path.endswith("/config.json"):
                return parse_shape(run.lake.storage.read_json(f"{folder}/{entry.path}"))
    begun_from = {
        "parrot-ask": run.recipe.train_ask.base or "",
        "parrot-sft": run.recipe.train_sft.base or "",
        "parrot-chat": "lake:parrot-sft",
    }
    return shape_of(begun_from[name], run) if begun_from.get(name) else None


def _config_file(ref: str) -> Path | None:
    try:
        if is_packaged(ref):
            folder = unpacked_folder(packaged_file(ref), model_cache())
            found = folder / "config.json"
        elif Path(ref).is_dir():
            found = Path(ref) / "config.json"
        else:
            from huggingface_hub import try_to_load_from_cache
            from huggingface_hub.errors import HFValidationError

            try:
                cached = try_to_load_from_cache(ref, "config.json")
            except HFValidationError:
                return None
            return Path(cached) if isinstance(cached, str) else None
    except SourceError:
        return None
    return found if found.exists() else None
