"""What an undisturbed run asks, to compare with."""

import pytest

from tests.support.lakes.batch_runs import batch_run, sold, synthesize
from tests.support.servers.fake_batch_api import selling


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The requests of a run that nothing disturbs."""
    with selling() as api:
        synthesize(batch_run(tmp_path_factory.mktemp("whole"), api.base_url))
        return sold(api)
