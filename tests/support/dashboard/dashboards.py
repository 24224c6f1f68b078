"""`parrot dashboard` as a process, for tests that look at it in a real browser."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.dashboard.browser import Browser
from tests.support.servers.s3_server import free_ports


@dataclass
class Served:
    """A dashboard's process, which can be ended and started again on the same port."""

    command: list[str]
    environment: dict[str, str]
    work: Path
    base: str
    process: "subprocess.Popen[str]"
    entry: str = ""  # the address with the token of this start

    def start(self) -> None:
        """Start it, and read the link it prints."""
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self.work,
        )
        assert self.process.stdout is not None
        entry = re.search(r"http\S+", self.process.stdout.readline())
        assert entry is not None
        self.entry = entry[0]

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=20)


@contextmanager
def dashboard(lake: Path | str, work: Path, *options: str) -> Iterator[Served]:
    """Serve a lake until the block ends."""
    (port,) = free_ports(1)
    command = [sys.executable, "-c", "from parrot_cli.main import main; main()", "dashboard"]
    environment = {**os.environ, "PARROT_WORK": str(work), "PYTHONUNBUFFERED": "1"}
    environment |= {"PYTHONPATH": os.getcwd(), "PARROT_SERVER_HOME": str(work / "prefect")}
    for name in ("PARROT_DASHBOARD_PASSWORD", "PREFECT_API_URL"):
        environment.pop(name, None)
    served = Served(
        [*command, "--lake", str(lake), "--port", str(port), *options],
        environment,
        work,
        f"http://127.0.0.1:{port}",
        process=None,  # type: ignore[arg-type]
    )
    served.start()
    try:
        yield served
    finally:
        served.stop()


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
