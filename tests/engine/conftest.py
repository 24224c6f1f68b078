"""What engine tests share, and how they are shared out among processes.

Models are loaded in two processes at most, not in more. Most of the other modules wait for servers
and clocks, and do so beside them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import s3_server, use_s3

HERE = Path(__file__).parent
SERVED = ("test_end_to_end.py", "test_vllm_killed.py")
"""What starts vLLM; what trains or scores has a folder."""


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


def group_of(module: Path) -> tuple[int, str]:
    """Where in line the module's group stands, longest first, and its name."""
    where = module.relative_to(HERE)
    if where.name in SERVED:
        return 0, "served"
    return (1, "loaded") if len(where.parts) > 1 else (2, where.stem)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group what runs one after the other, and put the longest groups first."""
    mine = [item for item in items if item.path.is_relative_to(HERE)]
    for item in mine:
        item.add_marker(pytest.mark.xdist_group(group_of(item.path)[1]))
    others = [item for item in items if not item.path.is_relative_to(HERE)]
    items[:] = [*others, *sorted(mine, key=lambda item: group_of(item.path)[0])]
