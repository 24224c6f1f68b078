"""From the recipe's sources to the files they stand for, each with a name, wherever they are."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import fsspec

from parrot_core.errors import ParrotError, SourceError, StorageError
from parrot_core.lake.packaged_files import is_packaged, packaged_file
from parrot_core.recipe import Ingest, LayoutName, Source
from parrot_core.stages.ingest import hub_datasets
from parrot_core.stages.ingest.unpacking import PACKED_SUFFIXES

SUFFIXES = (".json", ".jsonl", ".ndjson", ".parquet")
_WILDCARD = re.compile(r"[*?\[{].*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file, or one split of a dataset, that ingest reads: a shard of its own."""

    url: str
    source: str
    """The source's short name, which several files may share: the ``source`` of their rows."""
    prefix: str = ""
    """What its row ids begin with where the source has other files too; else the name does."""
    layout: LayoutName | None = None
    limit: int | None = None


def source_files(settings: Ingest) -> list[SourceFile]:
    """All files of a recipe's sources, in the order of the recipe, a folder's sorted.

    Raises:
        SourceError: a source that stands for no file.
        StorageError: the server that holds it can't be reached.
    """
    entries = [Source(url=entry) if isinstance(entry, str) else entry for entry in settings.sources]
    names = _source_names(entries)
    found: dict[str, tuple[Source, str]] = {}
    for entry, name in zip(entries, names, strict=True):
        for url in expand_sources([entry.url]):
            other, _ = found.setdefault(url, (entry, name))
            if (other.name, other.layout, other.limit) != (entry.name, entry.layout, entry.limit):
                raise SourceError(
                    f"{url}: two of the recipe's sources, with other settings, hold it"
                )
    files_of = Counter(name for _, name in found.values())
    stems = _numbered(f"{name}/{_stem(url)}" for url, (_, name) in found.items())
    return [
        SourceFile(
            url,
            name,
            "" if files_of[name] == 1 else stem,
            entry.layout,
            settings.limit if entry.limit is None else entry.limit,
        )
        for (url, (entry, name)), stem in zip(found.items(), stems, strict=True)
    ]


def expand_sources(urls: Iterable[str]) -> list[str]:
    """Files that these URLs stand for, each once: a folder's and a pattern's, sorted.

    Raises:
        SourceError: a URL that stands for no file.
        StorageError: the server that holds it can't be reached.
    """
    files: dict[str, None] = {}
    for url in urls:
        with naming(url):
            files.update(dict.fromkeys(_expand(url)))
    return list(files)


def locate(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL, and the path on it.

    Raises:
        SourceError: no such protocol, or its library isn't installed.
    """
    target = str(packaged_file(url)) if is_packaged(url) else url
    try:
        fs, path = fsspec.core.url_to_fs(target)
    except (ValueError, ImportError) as error:
        raise SourceError(f"{url}: can't be reached: {error}") from None
    return fs, path


@contextmanager
def naming(url: str) -> Iterator[None]:
    """One clear line for whatever a file system can raise before the first byte is read."""
    try:
        yield
    except ParrotError:
        raise
    except (FileNotFoundError, IsADirectoryError):
        raise SourceError(f"{url}: no such file") from None
    except PermissionError:
        raise SourceError(f"{url}: no permission to read it") from None
    except Exception as error:  # each file system's library has types of its own
        why = str(error).partition("\n")[0] or type(error).__name__
        raise StorageError(f"{url}: can't be reached: {why}") from error


def _expand(url: str) -> list[str]:
    if url.startswith(hub_datasets.SCHEME):
        hub_datasets.parse_address(url)
        return [url]
    fs, path = locate(url)
    if is_packaged(url) or fs.isfile(path):
        return [url]
    if fs.isdir(path):
        if hub_datasets.is_saved_dataset(Path(path)):
            return [f"{hub_datasets.SCHEME}{path}"]
        found = [name for name in fs.find(path) if _is_data(name)]
        expected = f"files ending in {', '.join(SUFFIXES)} (or these with .gz, .zst, .bz2, .xz)"
    elif fsspec.core.has_magic(path):
        found = [name for name in fs.glob(path) if fs.isfile(name) and not _is_hidden(name)]
        expected = "a pattern that matches files"
    else:
        raise SourceError(f"{url}: no such file")
    if not found:
        raise SourceError(f"{url}: no file found there, expected {expected}")
    return sorted(fs.unstrip_protocol(name) if "://" in url else name for name in found)


def _is_data(path: str) -> bool:
    bare = path.rsplit("/", 1)[-1]
    for suffix in PACKED_SUFFIXES:
        bare = bare.removesuffix(suffix)
    return bare.endswith(SUFFIXES) and not _is_hidden(path)


def _is_hidden(path: str) -> bool:
    return path.rsplit("/", 1)[-1].startswith(".")


def _source_names(entries: Sequence[Source]) -> list[str]:
    """The names given, or else the stems, numbered where two sources without a name share one."""
    given = {entry.name for entry in entries if entry.name}
    taken = Counter(given)
    names = []
    for entry in entries:
        name = entry.name
        if name is None:
            stem = _stem(entry.url)
            taken[stem] += 1
            name = stem if taken[stem] == 1 else f"{stem}~{taken[stem]}"
        names.append(name)
    return names


def _numbered(names: Iterable[str]) -> list[str]:
    taken: Counter[str] = Counter()
    numbered = []
    for name in names:
        taken[name] += 1
        numbered.append(name if taken[name] == 1 else f"{name}~{taken[name]}")
    return numbered


def _stem(url: str) -> str:
    """A short name for a URL: its last part without suffixes, or what stands before a wildcard."""
    url = url.split("::")[0]
    path = PurePosixPath(url.partition("?")[0] if "://" in url else url)
    return _before_wildcard(path.name) or _before_wildcard(path.parent.name) or "source"


def _before_wildcard(name: str) -> str:
    return _WILDCARD.sub("", name).partition(".")[0].strip("-_ ")
