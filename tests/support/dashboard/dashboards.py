"""`parrot dashboard` as a process, for tests that look at it in a real browser."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.dashboard.browser import Browser
from tests.support.servers.s3_server import free_ports


@contextmanager
def dashboard(lake: Path | str, work: Path, *options: str) -> Iterator[tuple[str, str]]:
    """Serve a lake until the block ends; the address, and the address with the token."""
    (port,) = free_ports(1)
    command = [sys.executable, "-c", "from parrot_cli.main import main; main()", "dashboard"]
    environment = {**os.environ, "PARROT_WORK": str(work), "PYTHONUNBUFFERED": "1"}
    environment |= {"PYTHONPATH": os.getcwd(), "PARROT_SERVER_HOME": str(work / "prefect")}
    environment.pop("PARROT_DASHBOARD_PASSWORD", None)
    process = subprocess.Popen(
        [*command, "--lake", str(lake), "--port", str(port), *options],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=work,
    )
    try:
        assert process.stdout is not None
        entry = re.search(r"http\S+", process.stdout.readline())
        assert entry is not None
        yield f"http://127.0.0.1:{port}", entry[0]
    finally:
        process.terminate()
        process.wait(timeout=20)


def enter(browser: Browser, entry: str) -> None:
    """Log in through the printed link, as soon as the server listens."""
    for _ in range(200):
        try:
            browser.page.goto(entry)
            return
        except Exception as error:  # Playwright has one type for all that can go wrong
            # the second: the page of the refusal before was still being shown
            if not any(each in str(error) for each in ("ERR_CONNECTION_REFUSED", "chrome-error")):
                raise
            browser.page.wait_for_timeout(100)
    raise AssertionError("the dashboard did not come up")
