"""What holds for all unit tests."""

import pytest

from parrot_core import shard_work


@pytest.fixture(autouse=True)
def _journals_wait_for_no_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal writes an answer at once, instead of waiting for others to write with it."""
    monkeypatch.setattr(shard_work, "LOCAL_JOURNAL_DELAY_S", 0.001)
