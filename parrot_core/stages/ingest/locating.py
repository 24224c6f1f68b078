"""From the recipe's sources to the files they stand for, each with a name, wherever they are."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import fsspec

from parrot_core.errors import ParrotError, SourceError, StorageError
from parrot_core.lake.packaged_files import is_packaged, packaged_file
from parrot_core.recipe import Ingest, Source
from parrot_core.stages.ingest import hub_datasets
from parrot_core.stages.ingest.passing_over import SUFFIXES, passed_over

_WILDCARD = re.compile(r"[*?\[{].*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file, or one split of a dataset, that ingest reads: a shard of its own."""

    url: str
    source: str
    """The source's short name, which several files may share: the ``source`` of their rows."""
    prefix: str = ""
    """What its row ids begin with where the source has other files too; else the name does."""
    layout: str | None = None
    limit: int | None = None
    passed_over: dict[str, int] = field(default_factory=dict)
    """Files of the source that aren't read, by what they are; on the first one that is."""


def source_files(settings: Ingest) -> list[SourceFile]:
    """All files of a recipe's sources, in the order of the recipe, a folder's sorted.

    Raises:
        SourceError: a source that stands for no file.
        StorageError: the server that holds it can't be reached.
    """
    entries = [Source(url=entry) if isinstance(entry, str) else entry for entry in settings.sources]
    names = _source_names(entries)
    found: dict[str, tuple[Source, str]] = {}
    others: dict[str, Counter[str]] = {}
    for entry, name in zip(entries, names, strict=True):
        passed: Counter[str] = Counter()
        for place, url in enumerate(_expanded(entry, passed)):
            other, _ = found.setdefault(url, (entry, name))
            if other.model_dump(exclude={"url"}) != entry.model_dump(exclude={"url"}):
                raise SourceError(
                    f"{url}: two of the recipe's sources, with other settings, hold it"
                )
            if not place:
                others.setdefault(url, Counter()).update(passed)
    files_of = Counter(name for _, name in found.values())
    stems = _numbered(f"{name}/{_stem(url)}" for url, (_, name) in found.items())
    return [
        SourceFile(
            url,
            name,
            "" if files_of[name] == 1 else stem,
            entry.layout,
            settings.limit if entry.limit is None else entry.limit,
            dict(sorted(others.get(url, {}).items())),
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
        files.update(dict.fromkeys(_expanded(Source(url=url), Counter())))
    return list(files)


def _expanded(entry: Source, passed: Counter[str]) -> list[str]:
    """The files of one source, sorted; ``passed`` counts what else is there."""
    with naming(entry.url):
        return _expand(entry, passed)


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


def _expand(entry: Source, passed: Counter[str]) -> list[str]:
    url = entry.url
    if url.startswith(hub_datasets.SCHEME):
        hub_datasets.parse_address(url)
        return [url]
    fs, path = locate(url)
    if is_packaged(url) or fs.isfile(path):
        return [url]
    if fs.isdir(path):
        sizes = {name: info.get("size") for name, info in fs.find(path, detail=True).items()}
        root = path.rstrip("/") + "/"
        expected = f"files ending in {', '.join(SUFFIXES)} (also packed), or .zip and .tar"
    elif fsspec.core.has_magic(path):
        sizes = {n: i.get("size") for n, i in _globbed(fs, path).items() if not _is_folder(i)}
        root = path[: _WILDCARD.search(path).start()].rpartition("/")[0] + "/"  # type: ignore[union-attr]
        expected = "a pattern that matches files"
    else:
        raise SourceError(f"{url}: no such file")
    files = []
    asked_for = PurePosixPath(path).suffix not in ("", ".*")  # data/*.txt means these texts
    for name, size in sorted(sizes.items()):
        kind = passed_over(name.removeprefix(root), size, entry.include, entry.exclude)
        if kind is None or (kind == "not data" and asked_for and not fs.isdir(path)):
            files.append(fs.unstrip_protocol(name) if "://" in url else name)
        else:
            passed[kind] += 1
    if not files:
        others = ", ".join(f"{n:,} {kind}" for kind, n in passed.most_common())
        seen = f"; passed over: {others}" if others else ""
        raise SourceError(f"{url}: no file found there, expected {expected}{seen}")
    return files


def _globbed(fs: fsspec.AbstractFileSystem, path: str) -> Mapping[str, Mapping[str, Any]]:
    return fs.glob(path, detail=True)  # type: ignore[no-any-return]


def _is_folder(info: Mapping[str, Any]) -> bool:
    return info.get("type") == "directory"


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
