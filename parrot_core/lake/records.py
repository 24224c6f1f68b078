"""Small JSON records of the lake, read and written as types."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from parrot_core.errors import DamagedRecord
from parrot_core.lake.storage import Storage, to_json


class Record(BaseModel):
    """A record is written whole by one version of the code; what it doesn't know is damage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_bytes(self) -> bytes:
        return to_json(self.model_dump(mode="json"))


R = TypeVar("R", bound=Record)


def as_record(kind: type[R], data: Mapping[str, Any], place: str) -> R:
    """What was read at ``place``, as the type that it should be.

    Raises:
        DamagedRecord: it isn't one.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        name = re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).lower()
        raise DamagedRecord(f"{place}: not a {name} we know: {where}: {first['msg']}") from None


def read_record(storage: Storage, path: str, kind: type[R]) -> R | None:
    """The record of a file; None when there is no such file.

    Raises:
        DamagedRecord: the file holds something else.
    """
    try:
        data = storage.read_json(path)
    except FileNotFoundError:
        return None
    return as_record(kind, data, storage.show(path))
