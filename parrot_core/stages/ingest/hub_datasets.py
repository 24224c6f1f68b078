"""Any dataset that ``datasets.load_dataset`` opens, as a source: ``datasets://NAME?split=…``.

NAME is a dataset of the Hub, or a local folder: a dataset repository, a folder of data files, or
what ``save_to_disk`` wrote. The library is imported only here, when such a source is opened.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from parrot_core.errors import SourceError
from parrot_core.stages.ingest.parsing import BadRecord

SCHEME = "datasets://"
_OPTIONS = ("config", "split", "revision", "streaming", "data_files", "data_dir")
_SAVED = ("dataset_dict.json", "state.json")  # what save_to_disk leaves


@dataclass(frozen=True, slots=True)
class DatasetAddress:
    """A ``datasets://`` URL, taken apart."""

    path: str
    options: dict[str, str]

    @property
    def split(self) -> str:
        return self.options.get("split", "train")

    @property
    def streaming(self) -> bool:
        """Whether records come as they are downloaded, nothing being kept on disk."""
        return self.options.get("streaming", "1") in ("1", "true")


def is_saved_dataset(folder: Path) -> bool:
    """Whether ``save_to_disk`` of the datasets library wrote this folder."""
    return any((folder / name).is_file() for name in _SAVED)


def parse_address(url: str) -> DatasetAddress:
    """Take a ``datasets://`` URL apart.

    Raises:
        SourceError: no name, or an option that load_dataset doesn't know.
    """
    path, _, query = url.removeprefix(SCHEME).partition("?")
    options = dict(parse_qsl(query))
    unknown = sorted(options.keys() - set(_OPTIONS))
    if not path or unknown or options.get("streaming", "1") not in ("0", "1", "true", "false"):
        found = f"unknown option {unknown[0]!r}" if unknown else "no name, or streaming not 0 or 1"
        raise SourceError(f"{url}: {found}; expected {SCHEME}NAME?{'&'.join(_OPTIONS)}=…")
    return DatasetAddress(path, options)


class DatasetRows:
    """A container (see ``containers.Container``) over one split of a dataset."""

    total_bytes: int | None = None
    bytes_read = 0

    def __init__(self, url: str) -> None:
        """Open the dataset; with streaming nothing but its description is read.

        Raises:
            SourceError: the library isn't installed, or the dataset, configuration or split
                doesn't exist.
        """
        self._rows, self.total_records = _load(url, parse_address(url))

    def records(self) -> Iterator[object | BadRecord]:
        yield from self._rows

    def remarks(self) -> list[str]:
        return []

    def close(self) -> None:
        """Nothing is held."""


def _load(url: str, address: DatasetAddress) -> tuple[Iterable[object], int | None]:
    try:
        import datasets
    except ImportError:
        raise SourceError(
            f"{url}: needs the Python package 'datasets': pip install 'parrot-factory[train]'"
        ) from None
    try:
        if is_saved_dataset(Path(address.path)):
            saved = datasets.load_from_disk(address.path)
            chosen = saved[address.split] if hasattr(saved, "keys") else saved
        else:
            chosen = datasets.load_dataset(
                address.path,
                address.options.get("config"),
                split=address.split,
                streaming=address.streaming,
                revision=address.options.get("revision"),
                data_dir=address.options.get("data_dir"),
                data_files=address.options.get("data_files"),
            )
    except (FileNotFoundError, KeyError, ValueError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise SourceError(f"{url}: not found: {why}") from None
    return chosen, _rows_known(chosen)


def _rows_known(dataset: Any) -> int | None:
    if hasattr(dataset, "__len__"):
        return len(dataset)
    known = (dataset.info.splits or {}).get(str(dataset.split))
    return known.num_examples if known else None
