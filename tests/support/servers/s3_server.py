"""Real servers for tests: an S3 server (SeaweedFS) on free ports, in a folder of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import s3fs

KEY, SECRET = "testkey", "testsecret"


def free_ports(count: int) -> list[int]:
    """Ports that are free, and free 10000 higher too: the server listens on both."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as probe, socket.socket() as twin:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                twin.bind(("127.0.0.1", port + 10_000))
                if port not in found:
                    found.append(port)
    return found


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Run the server until the block ends; yields its endpoint."""
    weed = Path(sys.executable).parent / "weed"
    s3, master, volume, filer = free_ports(4)
    command = [
        *(str(weed), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}"),
        *(f"-filer.port={filer}", "-webdav=false", "-admin.ui=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
    ]
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **keys},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    endpoint = f"http://127.0.0.1:{s3}"
    try:
        _wait(endpoint)
        yield endpoint
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(endpoint: str) -> None:
    fs = s3fs.S3FileSystem(
        key=KEY, secret=SECRET, client_kwargs={"endpoint_url": endpoint}, skip_instance_cache=True
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            if not fs.exists("lake"):
                fs.mkdir("lake")
            fs.pipe_file("lake/probe", b"x")
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def use_s3(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Point everything in this process at the server, as a user would: by the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
