"""What people think of rows they have read: keep or flag, kept beside the versions, not in them.

Each mark is a small file of its own, so that any number of reviewers write at once. An *export* is
a frozen list of flagged ids under a name; a recipe's ``filter.flagged`` names it.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from parrot_core.errors import StorageError, UserError
from parrot_core.lake.storage import Storage, to_json
from parrot_core.recipe.base import SLUG

Verdict = Literal["keep", "flag"]


class Mark(BaseModel):
    """One reviewer's verdict on one row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    verdict: Verdict
    at: str  # ISO 8601, UTC
    by: str = ""


class FlaggedRows(BaseModel):
    """Ids that reviewers flagged in one version, frozen under a name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    dataset: str
    version: str
    created_at: str
    ids: tuple[str, ...]


class Reviews:
    """The marks on one version of a dataset."""

    def __init__(self, storage: Storage, dataset: str, version: str) -> None:
        """Nothing is read yet."""
        self._storage = storage
        self._dataset = dataset
        self._version = version
        self._folder = f"reviews/{dataset}/{version}"

    def mark(self, row_id: str, verdict: Verdict, now: datetime, by: str = "") -> Mark:
        """Keep a verdict; a later one on the same row replaces it."""
        mark = Mark(id=row_id, verdict=verdict, at=now.isoformat(timespec="seconds"), by=by)
        self._storage.write_bytes(self._path(row_id), to_json(mark.model_dump()))
        return mark

    def unmark(self, row_id: str) -> None:
        """Take a verdict back."""
        self._storage.delete([self._path(row_id)])

    def marks(self) -> dict[str, Mark]:
        """All marks by row id."""
        paths = self._storage.list(self._folder)
        found = [Mark.model_validate(d) for d in self._storage.read_jsons(paths) if d is not None]
        return {mark.id: mark for mark in found}

    def export(self, name: str, now: datetime) -> FlaggedRows:
        """Freeze the ids that are flagged now under a name.

        Raises:
            UserError: the name can't be a file's, or stands for other ids already.
        """
        if not re.fullmatch(SLUG, name):
            raise UserError(f"'{name}' can't name an export: letters, digits, '.', '_', '-' only")
        ids = sorted(mark.id for mark in self.marks().values() if mark.verdict == "flag")
        wanted = FlaggedRows(
            name=name,
            dataset=self._dataset,
            version=self._version,
            created_at=now.isoformat(timespec="seconds"),
            ids=tuple(ids),
        )
        if not self._storage.put_if_absent(_export(name), to_json(wanted.model_dump())):
            standing = read_flagged(self._storage, name)
            if standing.ids != wanted.ids:
                raise UserError(f"an export '{name}' of {len(standing.ids)} other ids exists")
            return standing
        return wanted

    def _path(self, row_id: str) -> str:
        digest = hashlib.sha256(row_id.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._folder}/{digest[:32]}.json"


def read_flagged(storage: Storage, name: str) -> FlaggedRows:
    """An export of flagged ids.

    Raises:
        UserError: there is none of this name.
    """
    try:
        return FlaggedRows.model_validate(storage.read_json(_export(name)))
    except FileNotFoundError:
        have = ", ".join(exports(storage)) or "none"
        raise UserError(
            f"no export of flagged rows is called '{name}' (there are: {have})"
        ) from None
    except ValidationError as error:
        raise StorageError(
            f"{storage.show(_export(name))}: not an export of ids: {error}"
        ) from None


def exports(storage: Storage) -> Sequence[str]:
    """Names of all exports."""
    found = storage.list("reviews/exports")
    return [path.removeprefix("reviews/exports/").removesuffix(".json") for path in found]


def _export(name: str) -> str:
    return f"reviews/exports/{name}.json"
