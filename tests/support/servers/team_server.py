"""A Prefect server as a team has it: PostgreSQL, Redis, and API and services on their own."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import redis

from tests.support.servers.ports import free_port

PASSWORD = "planted-team-password"
USER = "parrot"
START_S = 180


def missing() -> str:
    """What this machine lacks for the scene, for a test to say that it was skipped; or nothing."""
    lacking = [] if _postgres_binaries() else ["PostgreSQL (initdb, pg_ctl)"]
    lacking += [] if shutil.which("redis-server") else ["redis-server"]
    lacking += [] if find_spec("prefect_redis") else ["the package prefect-redis"]
    if os.getuid() == 0 and _account() is None:
        lacking.append("an account for PostgreSQL, which doesn't run as root")
    return ", ".join(lacking)


class Postgres:
    """A database server that a test may take away and bring back."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._binaries = _postgres_binaries()
        assert self._binaries is not None
        if account := _account():
            os.chown(folder, *account)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        self._call(
            *("initdb", "--pgdata", f"{folder}/data", "--username", "prefect"),
            *("--encoding", "UTF8", "--locale", "C", "--auth", "scram-sha-256", "--no-sync"),
            *("--pwfile", f"{folder}/password"),
        )

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://prefect:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder}"
        self._call(
            *("pg_ctl", "start", "--wait", "--pgdata", f"{self._folder}/data"),
            *("--log", f"{self._folder}/postgres.log", "--options", options),
        )

    def stop(self) -> None:
        """As if the machine had lost its power: no checkpoint, connections cut."""
        self._call("pg_ctl", "stop", "--pgdata", f"{self._folder}/data", "--mode", "immediate")

    def _call(self, program: str, *arguments: str) -> None:
        account = _account()
        subprocess.run(
            [str(self._binaries / program) if self._binaries else program, *arguments],
            check=True,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            user=account[0] if account else None,
            group=account[1] if account else None,
            extra_groups=[] if account else None,
        )


class TeamServer:
    """Prefect's API and its services as processes of their own, on one database and one Redis."""

    def __init__(self, folder: Path, postgres: Postgres, redis_port: int) -> None:
        self.postgres = postgres
        self.port = free_port()
        self.api_url = f"http://127.0.0.1:{self.port}/api"
        self.logs = folder
        self._settings = _settings(folder, postgres, redis_port)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def client_environment(self) -> dict[str, str]:
        """What a worker's machine needs to know."""
        return {
            "PREFECT_API_URL": self.api_url,
            "PREFECT_API_AUTH_STRING": f"{USER}:{PASSWORD}",
            "PREFECT_HOME": str(self.logs / "client"),
            **OFFLINE,
        }

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.api_url, auth=(USER, PASSWORD), timeout=30)

    def start_api(self) -> None:
        self._start("api", "server", "start", "--port", str(self.port), "--no-services")
        wait_until("the API answers", self.healthy)

    def start_services(self) -> None:
        self._start("services", "server", "services", "start")

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.api_url}/health", auth=(USER, PASSWORD)).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, name: str) -> None:
        """Kill ``api`` or ``services``."""
        end(self._running.pop(name))

    def alive(self) -> set[str]:
        return {name for name, process in self._running.items() if process.poll() is None}

    def stop_all(self) -> None:
        for name in list(self._running):
            self.stop(name)

    def _start(self, name: str, *arguments: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "prefect", *arguments],
                env={**os.environ, **self._settings},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


OFFLINE = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}


def _settings(folder: Path, postgres: Postgres, redis_port: int) -> dict[str, str]:
    """The settings that docs/how-to/operations.md tells, and ``docker/compose.yaml`` has."""
    return {
        "PREFECT_HOME": str(folder / "server"),
        "PREFECT_SERVER_API_AUTH_STRING": f"{USER}:{PASSWORD}",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres.url,
        "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
        "PREFECT_REDIS_MESSAGING_HOST": "127.0.0.1",
        "PREFECT_REDIS_MESSAGING_PORT": str(redis_port),
        "PREFECT_REDIS_MESSAGING_PASSWORD": PASSWORD,
        "PREFECT_SERVER_DOCKET_URL": f"redis://:{PASSWORD}@127.0.0.1:{redis_port}/1",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        **OFFLINE,
    }


@contextmanager
def team_server(folder: Path) -> Iterator[TeamServer]:
    """Run all four until the block ends."""
    with ExitStack() as stack:
        # Not in pytest's folder: another account has to reach it.
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="parrot-postgres-"))
        os.chmod(scratch, 0o755)
        database = Path(scratch) / "postgres"
        database.mkdir(mode=0o755)
        postgres = Postgres(database)
        postgres.start()
        stack.callback(_quietly, postgres.stop)
        redis_port = stack.enter_context(_redis(folder))
        server = TeamServer(folder, postgres, redis_port)
        stack.callback(server.stop_all)
        server.start_api()
        server.start_services()
        yield server


@contextmanager
def _redis(folder: Path) -> Iterator[int]:
    port = free_port()
    (folder / "redis").mkdir()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes"]
    command += ["--requirepass", PASSWORD, "--dir", str(folder / "redis")]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until("Redis answers", lambda: _answers(port))
        yield port
    finally:
        end(process)


def _answers(port: int) -> bool:
    with contextlib.suppress(redis.RedisError):
        return bool(redis.Redis(port=port, password=PASSWORD).ping())
    return False


def wait_until(what: str, true: Callable[[], bool], patience_s: float = START_S) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, f"not within {patience_s:.0f} s: {what}"
        time.sleep(0.5)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _quietly(stop: Callable[[], None]) -> None:
    with contextlib.suppress(subprocess.CalledProcessError):  # a test has stopped it already
        stop()


def _postgres_binaries() -> Path | None:
    """The newest PostgreSQL's programs; Debian keeps them off the path."""
    if found := shutil.which("pg_ctl"):
        return Path(found).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")
    newest = sorted(debian, key=lambda program: int(program.parts[-3]), reverse=True)
    return newest[0].parent if newest else None


def _account() -> tuple[int, int] | None:
    """Whom PostgreSQL runs as, where we are root; it refuses root itself."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    return None
