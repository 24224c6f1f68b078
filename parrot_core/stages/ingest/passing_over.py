"""Which files of a folder or an archive aren't data; they are skipped and counted by kind."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

PACKED_SUFFIXES = (".gz", ".zst", ".bz2", ".xz")
SUFFIXES = (".json", ".jsonl", ".ndjson", ".parquet", ".arrow", ".csv", ".tsv")
ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz")
_METADATA = frozenset(
    f"{name}.json"
    for name in (
        *("dataset_infos", "dataset_info", "dataset_dict", "state", "metadata", "manifest"),
        *("package", "package-lock", "config", "generation_config", "tokenizer", "vocab"),
        *("tokenizer_config", "special_tokens_map"),
    )
)
_CACHES = frozenset(("__pycache__", "node_modules", "_temporary", "__macosx"))
_MEDIA = re.compile(r"\.(?:png|jpe?g|gif|webp|svg|bmp|mp[34]|wav|flac|ogg|mov|avi|pdf)", re.I)
_TEXTS = re.compile(
    r"(?:readme|licen[sc]e|changelog|notice)(?:\..*)?|.*\.(?:md|rst|html?)", re.IGNORECASE
)


def passed_over(
    path: str, size: int | None, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> str | None:
    """What a file is if it isn't to be read, in a word or two; None if it is.

    Args:
        path: below the folder or archive that it is in, with ``/``.
        size: its bytes; None if it isn't known.
        include: patterns of paths or names; if there are any, they say what is read.
        exclude: the same for what is not.
    """
    if _matches(path, exclude):
        return "excluded"
    if include:
        return (None if size != 0 else "empty") if _matches(path, include) else "not included"
    *folders, name = PurePosixPath(path).parts or ("",)
    return _kind_of_folder(folders) or _kind_of_file(name) or ("empty" if size == 0 else None)


def bare_name(name: str) -> str:
    """A file's name without the endings of compression."""
    for suffix in PACKED_SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _matches(path: str, patterns: Sequence[str]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path, each) or fnmatchcase(name, each) for each in patterns)


def _kind_of_folder(folders: Sequence[str]) -> str | None:
    for folder in folders:
        if folder == ".ipynb_checkpoints":
            return "Jupyter checkpoint"
        if folder.lower() in _CACHES or folder == ".cache":
            return "cache"
        if folder.startswith("."):
            return "hidden"
    return None


def _kind_of_file(name: str) -> str | None:
    bare = bare_name(name).lower()
    if bare.startswith((".", "_")):
        return "marker" if bare.startswith("_") else "hidden"
    if bare.startswith("cache-") and bare.endswith(".arrow"):
        return "cache"
    if bare in _METADATA:
        return "metadata"
    if bare.endswith((*SUFFIXES, *ARCHIVES)):
        return None
    if _TEXTS.fullmatch(bare):
        return "readme"
    return "media" if _MEDIA.fullmatch(PurePosixPath(bare).suffix) else "not data"
