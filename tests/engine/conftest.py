"""What engine tests share, and how they are shared out among processes.

Models are loaded in two processes at most, not in more. Most of the other modules wait for servers
and clocks, and do so beside them.
"""

import signal
from collections.abc import Iterator
from pathlib import PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.servers.s3_server import s3_server, use_s3

FOLDER = PurePath("tests/engine")
SERVED = ("test_end_to_end.py", "test_vllm_killed.py")
"""What starts vLLM; what trains or scores has a folder."""
LONG = ("test_stopping.py", "test_ray.py", "test_worker_killed.py", "test_night.py")
"""What waits for minutes: begun last, one of them would run on alone."""


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 server for all tests of this process; each keeps a lake of its own name on it."""
    with s3_server(tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture
def lake_url(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A test's own lake on the S3 server."""
    use_s3(monkeypatch, endpoint)
    return f"s3://lake/{request.node.name}"


@pytest.fixture
def in_the_background() -> Iterator[None]:
    """What is started has SIGINT ignored, as a script's shell does to commands with an ``&``."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def group_of(nodeid: str) -> tuple[int, str]:
    """Where in line the group of a test's module stands, longest first, and its name."""
    module = PurePath(nodeid.partition("::")[0])
    if module.name in SERVED:
        return 0, "models that are served"
    if module.parent != FOLDER and module.is_relative_to(FOLDER):
        return 1, "models that are trained"
    return (2 if module.name in LONG else 3), str(module)


class TwoForModels(LoadScopeScheduling):
    """A process takes a whole group at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)[1]


@pytest.hookimpl(optionalhook=True)  # there is none when one process runs all
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> TwoForModels:
    """Whatever ``--dist`` says; by its groups xdist 3.8 shares nothing out under pytest 9.2."""
    return TwoForModels(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups first; xdist takes them in this order under ``--no-loadscope-reorder``."""
    items.sort(key=lambda item: group_of(item.nodeid)[0])
