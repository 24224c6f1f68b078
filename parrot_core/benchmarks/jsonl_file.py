"""Reads the JSONL files of a benchmark, and says in one line what is wrong with them."""

import json
from collections.abc import Iterator
from typing import IO, cast

import fsspec
from pydantic import ValidationError

from parrot_core.errors import SourceError
from parrot_core.lake.packaged_files import is_packaged, packaged_file


def read_file(url: str, content: str) -> bytes:
    """Read a whole file.

    Args:
        url: a path, an fsspec URL such as ``s3://``, or ``package://PACKAGE/FILE``.

    Raises:
        SourceError: it is missing or unreadable.
    """
    try:
        if is_packaged(url):
            return packaged_file(url).read_bytes()
        with fsspec.open(url, "rb") as file:
            return cast(IO[bytes], file).read()
    except FileNotFoundError:
        raise SourceError(f"{url}: no such file; expected {content} in JSONL") from None
    except (OSError, ValueError, ImportError) as error:
        raise SourceError(f"{url}: can't be read: {error}") from None


def records(data: bytes, url: str, expected: str) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the objects of a JSONL file with the numbers of their lines, counted from 1.

    A line may also be a list of objects, the turns of a session in MT-Eval: an object with
    nothing but ``conv``.

    Raises:
        SourceError: the file isn't UTF-8, or a line that isn't blank isn't an object.
    """
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise SourceError(f"{url}: not UTF-8 at byte {error.start}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise SourceError(
                f"{url}, line {number}: not JSON ({error.msg}); expected {expected}"
            ) from None
        except (RecursionError, ValueError) as error:  # nested without end, a number without end
            raise SourceError(
                f"{url}, line {number}: can't be read ({error}); expected {expected}"
            ) from None
        if isinstance(record, list) and record and all(isinstance(turn, dict) for turn in record):
            record = {"conv": record}
        if not isinstance(record, dict):
            raise SourceError(f"{url}, line {number}: not an object; expected {expected}")
        yield number, record


def problems(error: ValidationError) -> str:
    """The first three things that pydantic found wrong, on one line."""
    return "; ".join(
        ": ".join(
            part
            for part in (
                ".".join(str(key) for key in item["loc"]),
                item["msg"].removeprefix("Value error, "),
            )
            if part
        )
        for item in error.errors()[:3]
    )
