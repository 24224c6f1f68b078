"""What holds for all unit tests."""

import prefect.main  # noqa: F401 - before absl, see below
import pytest

from parrot_core import shard_work

# Prefect closes all log handlers when its flows are first imported; absl's, which comes with
# rouge-score, then closes the standard error that pytest has put in place.


@pytest.fixture(autouse=True)
def _journals_wait_for_no_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal writes an answer at once, instead of waiting for others to write with it."""
    monkeypatch.setattr(shard_work, "LOCAL_JOURNAL_DELAY_S", 0.001)
