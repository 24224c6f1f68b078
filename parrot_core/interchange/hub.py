"""Publish an exported folder as a dataset repository of the Hugging Face Hub, in one commit.

The commit adds the new files and removes those of the export before, so that a revision is one
export whole; earlier revisions stay as they are. Files are stored by their content: a run that
was broken off sends, run again, only what the hub lacks.
"""

import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from parrot_core.errors import StorageError, UserError
from parrot_core.interchange.card import CARD
from parrot_core.lake.whole_folder import MARKER
from parrot_core.text.sanitise import one_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

T = TypeVar("T")

SCHEME = "hf://"
ATTEMPTS = 6
_REPOSITORY = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)/?")
_CONFLICT = 412
_NOT_ALLOWED = frozenset((401, 403, 404))
_PASSING = frozenset((408, 429, 500, 502, 503, 504))
_LONGEST_WAIT = 300.0
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Published:
    """The commit that was made, and the old files that it removed."""

    commit: str
    removed: tuple[str, ...]


def repository_of(to: str) -> str | None:
    """ORG/NAME of a dataset repository; None if ``to`` is no place on the hub.

    Raises:
        UserError: it is on the hub, and no dataset repository.
    """
    if not to.startswith(SCHEME):
        return None
    found = _REPOSITORY.fullmatch(to)
    if found is None:
        raise UserError(f"--to {one_line(to, 120)}: expected hf://datasets/ORG/NAME")
    return found.group(1)


class HubRepository:
    """One dataset repository, to be written to with the token of the environment."""

    def __init__(
        self,
        name: str,
        *,
        public: bool = False,
        force: bool = False,
        api: "HfApi | None" = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is asked of the hub yet.

        Args:
            public: whether everybody may read it; a repository that exists keeps what it is.
            api: the client; by default that of ``HF_ENDPOINT`` and ``HF_TOKEN``.

        Raises:
            UserError: the hub's client isn't installed.
        """
        try:
            from huggingface_hub import HfApi
        except ImportError:
            raise UserError(
                f"hf://datasets/{name}: needs huggingface_hub: pip install 'parrot-factory[hub]'"
            ) from None
        self._name = name
        self._public = public
        self._force = force
        self._api = api or HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        self._sleep = sleep

    @property
    def url(self) -> str:
        return f"{self._api.endpoint}/datasets/{self._name}"

    def prepare(self) -> None:
        """Create the repository if it isn't there, and see that it may be written to.

        Raises:
            UserError: it is public and may not be, holds files of others, or the hub refuses.
            StorageError: the hub can't be reached.
        """
        self._ask(
            lambda: self._api.create_repo(
                self._name, repo_type="dataset", private=not self._public, exist_ok=True
            )
        )
        head, private = self._head()
        if not private and not self._public:
            raise UserError(
                f"hf://datasets/{self._name}: the repository is public; publish there with "
                "--public, or make it private"
            )
        self._stale(head, ())

    def publish(self, folder: Path, message: str) -> Published:
        """Make the folder's files the repository's, in one commit.

        Somebody who commits meanwhile makes it look again (412); a hub that is busy (429, 5xx)
        is asked again after the time that it names.

        Args:
            folder: holds the export, ``MARKER`` included.

        Raises:
            UserError, StorageError: as :meth:`prepare`; the revision before is untouched.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        paths = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        added = [CommitOperationAdd(path, str(folder / path)) for path in paths]

        def commit() -> Published:
            head, _ = self._head()
            stale = self._stale(head, paths)
            done = self._api.create_commit(
                self._name,
                [*added, *(CommitOperationDelete(path) for path in stale)],
                commit_message=message,
                repo_type="dataset",
                parent_commit=head,
            )
            return Published(str(done.oid), tuple(stale))

        return self._ask(commit, _PASSING | {_CONFLICT})

    def _head(self) -> tuple[str, bool]:
        """The newest commit, and whether the repository is private."""
        info = self._ask(lambda: self._api.dataset_info(self._name))
        return str(info.sha), bool(info.private)

    def _stale(self, revision: str, written: Iterable[str]) -> list[str]:
        """Files of the export before that the new one doesn't write.

        Raises:
            UserError: files of somebody else would be replaced, or be read with ours.
        """
        there = self._ask(
            lambda: self._api.list_repo_files(self._name, repo_type="dataset", revision=revision)
        )
        ours = self._exported(revision) if MARKER in there else set()
        others = [path for path in there if path not in ours and _in_the_way(path)]
        if others and not self._force:
            raise UserError(
                f"hf://datasets/{self._name}: holds files that no export wrote "
                f"({one_line(others[0], 80)}); replace them with --force, or name another"
            )
        return sorted(({*ours, *others} & set(there)) - set(written))

    def _exported(self, revision: str) -> set[str]:
        """The files that the export of a revision wrote, by its own record."""
        with tempfile.TemporaryDirectory(prefix="parrot-hub-") as scratch:
            path = self._ask(
                lambda: self._api.hf_hub_download(
                    self._name, MARKER, repo_type="dataset", revision=revision, local_dir=scratch
                )
            )
            try:
                named = json.loads(Path(path).read_bytes())["files"]
            except (ValueError, KeyError, TypeError):
                return {MARKER}
        return {MARKER, *(str(path) for path in named)} if isinstance(named, list) else {MARKER}

    def _ask(self, ask: Callable[[], T], again: frozenset[int] = _PASSING) -> T:
        """The hub's answer; asked again where what it says will pass."""
        from httpx2 import HTTPError  # the client that huggingface_hub brings
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        for attempt in range(1, ATTEMPTS):
            try:
                return ask()
            except OfflineModeIsEnabled:
                raise UserError("HF_HUB_OFFLINE is set: unset it to publish on the hub") from None
            except HfHubHTTPError as error:
                if error.response.status_code not in again:
                    raise self._refused(error) from None
                self._sleep(_wait(error.response.headers.get("Retry-After"), attempt))
            except (HTTPError, OSError, RuntimeError):  # the network, or an upload that broke
                self._sleep(_wait(None, attempt))
        try:
            return ask()
        except HfHubHTTPError as error:
            raise self._refused(error) from None
        except (HTTPError, OSError, RuntimeError) as error:
            raise StorageError(f"{self._api.endpoint}: {self._said(error)}") from None

    def _refused(self, error: "HfHubHTTPError") -> UserError | StorageError:
        status = error.response.status_code
        place, said = f"hf://datasets/{self._name}", self._said(error.server_message or error)
        if status in _NOT_ALLOWED:
            return UserError(
                f"{place}: the hub refuses ({status}: {said}); expected HF_TOKEN, or a login, of "
                "somebody who may write there"
            )
        if status == _CONFLICT:
            return StorageError(f"{place}: others kept committing meanwhile; try again later")
        if status in _PASSING:
            return StorageError(f"{place}: the hub is busy ({status}: {said}); run it again later")
        return UserError(f"{place}: the hub refuses ({status}: {said})")

    def _said(self, error: object) -> str:
        """An error's text in one line, without the token should the hub echo it."""
        from huggingface_hub import get_token

        text = str(error)
        for secret in (self._api.token, get_token()):
            if isinstance(secret, str) and secret:
                text = text.replace(secret, "…")
        return one_line(text, _SHOWN)


def _in_the_way(path: str) -> bool:
    """Whether a file would be replaced by an export, or be read with its rows."""
    return path in {CARD, MARKER} or path.startswith("data/")


def _wait(told: str | None, attempt: int) -> float:
    """Seconds until the next attempt: what the hub says, or longer each time."""
    if told is not None and told.isdecimal():
        return min(float(told), _LONGEST_WAIT)
    return float(2**attempt)
