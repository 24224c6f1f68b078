"""What people think of rows they have read: keep, flag or unsure, kept beside the versions.

Each reviewer has a file of their own for each row, so that no two can overwrite each other. An
*export* is a frozen list of flagged ids under a name; a recipe's ``filter.flagged`` names it.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from parrot_core.errors import UserError
from parrot_core.lake.records import Record, as_record, read_record
from parrot_core.lake.storage import Storage, to_json
from parrot_core.recipe.base import SLUG

Verdict = Literal["keep", "flag", "unsure"]
LONGEST_NAME = 60
LONGEST_NOTE = 2000


class Mark(Record):
    """One reviewer's verdict on one row."""

    id: str
    verdict: Verdict
    at: str  # ISO 8601, UTC
    by: str
    reason: str = ""
    note: str = ""


class ReviewExport(Record):
    """Ids that reviewers flagged in one version, frozen under a name."""

    name: str
    dataset: str
    version: str
    created_at: str
    ids: tuple[str, ...]


class Reviews:
    """The marks on one version of a dataset."""

    def __init__(self, storage: Storage, dataset: str, version: str) -> None:
        self._storage = storage
        self._dataset = dataset
        self._version = version
        self._folder = f"reviews/{dataset}/{version}"
        self._known: dict[str, tuple[object, Mark]] = {}  # path: when it was written, and what

    def mark(
        self,
        row_id: str,
        verdict: Verdict,
        now: datetime,
        by: str,
        reason: str = "",
        note: str = "",
    ) -> Mark:
        """Keep a reviewer's verdict; a later one of theirs on the same row replaces it.

        Raises:
            UserError: it isn't said who marks.
        """
        name = checked_reviewer(by)
        mark = Mark(
            id=row_id,
            verdict=verdict,
            at=now.isoformat(timespec="seconds"),
            by=name,
            reason=reason.strip()[:LONGEST_NAME],
            note=note.strip()[:LONGEST_NOTE],
        )
        self._storage.write_bytes(self._path(row_id, name), to_json(mark.model_dump()))
        return mark

    def unmark(self, row_id: str, by: str) -> None:
        """Take a reviewer's verdict back."""
        self._storage.delete([self._path(row_id, checked_reviewer(by))])

    def marks(self) -> list[Mark]:
        """All marks; of a file that has not changed since the last look only its name is read."""
        files = {file.path: file for file in self._storage.files(self._folder)}
        changed = [
            path
            for path, file in files.items()
            if path not in self._known or self._known[path][0] != (file.modified, file.bytes)
        ]
        for path, data in zip(changed, self._storage.read_jsons(changed), strict=True):
            if data is not None:
                seen = (files[path].modified, files[path].bytes)
                self._known[path] = (seen, as_record(Mark, data, path))
        self._known = {path: each for path, each in self._known.items() if path in files}
        return [mark for _, mark in self._known.values()]

    def export(self, name: str, now: datetime) -> ReviewExport:
        """Freeze the ids that are flagged now under a name.

        Raises:
            UserError: the name can't be a file's, or stands for other ids already.
        """
        if not re.fullmatch(SLUG, name):
            raise UserError(f"'{name}' can't name an export: letters, digits, '.', '_', '-' only")
        wanted = ReviewExport(
            name=name,
            dataset=self._dataset,
            version=self._version,
            created_at=now.isoformat(timespec="seconds"),
            ids=tuple(flagged_ids(self.marks())),
        )
        if not self._storage.put_if_absent(_export(name), to_json(wanted.model_dump())):
            standing = read_flagged(self._storage, name)
            if standing.ids != wanted.ids:
                raise UserError(f"an export '{name}' of {len(standing.ids)} other ids exists")
            return standing
        return wanted

    def _path(self, row_id: str, by: str) -> str:
        row, who = (hashlib.sha256(t.encode("utf-8", "surrogatepass")) for t in (row_id, by))
        return f"{self._folder}/{who.hexdigest()[:16]}/{row.hexdigest()[:32]}.json"


def by_row(marks: Iterable[Mark]) -> dict[str, list[Mark]]:
    found: dict[str, list[Mark]] = {}
    for mark in marks:
        found.setdefault(mark.id, []).append(mark)
    return found


def verdict_of(marks: Sequence[Mark]) -> Verdict | None:
    """What reviewers say of a row together: the verdict of most, and unsure where they are split.

    None where nobody has marked it.
    """
    if not marks:
        return None
    keep = sum(mark.verdict == "keep" for mark in marks)
    flag = sum(mark.verdict == "flag" for mark in marks)
    if keep == flag:
        return "unsure"
    return "keep" if keep > flag else "flag"


def flagged_ids(marks: Iterable[Mark]) -> list[str]:
    """Rows that more reviewers flag than keep."""
    return sorted(row for row, said in by_row(marks).items() if verdict_of(said) == "flag")


def verdicts_by(marks: Iterable[Mark]) -> Mapping[str, Mapping[str, Verdict]]:
    found: dict[str, dict[str, Verdict]] = {}
    for mark in marks:
        found.setdefault(mark.by, {})[mark.id] = mark.verdict
    return found


def checked_reviewer(name: str) -> str:
    """A reviewer's name as it is kept.

    Raises:
        UserError: there is none.
    """
    kept = " ".join("".join(c for c in name if c.isprintable()).split())[:LONGEST_NAME]
    if not kept:
        raise UserError("say who you are before you mark a row")
    return kept


def read_flagged(storage: Storage, name: str) -> ReviewExport:
    """An export of flagged ids.

    Raises:
        UserError: there is none of this name.
    """
    found = read_record(storage, _export(name), ReviewExport)
    if found is None:
        have = ", ".join(exports(storage)) or "none"
        raise UserError(f"no export of flagged rows is called '{name}' (there are: {have})")
    return found


def exports(storage: Storage) -> Sequence[str]:
    found = storage.list("reviews/exports")
    return [path.removeprefix("reviews/exports/").removesuffix(".json") for path in found]


def _export(name: str) -> str:
    return f"reviews/exports/{name}.json"
