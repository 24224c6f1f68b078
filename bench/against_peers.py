"""The same dialogues through Parrot Factory and its peers: speed, memory, and what a kill -9 costs.

Usage: python bench/against_peers.py [--peers ~/.cache/parrot/peers] [--sessions 200] [--json]
(bench/peers/setup.sh makes the peers' environments first)
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slow_api import Behaviour, RunningApi, serving

HERE = Path(__file__).parent / "peers"
KILL_AT = (0.25, 0.5, 0.75)  # of all completions
KILL_SIGMA = 0.6  # of the lognormal latency
PATIENCE_S = 1800


QUIET = {"TELEMETRY_ENABLED": "false", "NEMO_TELEMETRY_ENABLED": "false", "DO_NOT_TRACK": "1"}


@dataclass(frozen=True, slots=True)
class Contender:
    """A script, and the interpreter that has what it needs."""

    name: str
    python: Path

    @property
    def environment(self) -> dict[str, str]:
        """No telemetry, and token encodings from disk: nothing is sent or fetched.

        litellm, which curator brings, ships the encoding that curator downloads otherwise.
        """
        home = self.python.parents[1]
        encodings = list(home.glob("lib/*/site-packages/litellm/*/tokenizers"))
        found = {"TIKTOKEN_CACHE_DIR": str(encodings[0])} if encodings else {}
        return {**os.environ, **QUIET, **found}

    def start(
        self, api: RunningApi, folder: Path, told: argparse.Namespace
    ) -> "subprocess.Popen[str]":
        """Begin, or go on with, the work in ``folder``."""
        command = [str(self.python), str(HERE / f"run_{self.name}.py")]
        command += [f"--base-url={api.base_url}", f"--folder={folder}"]
        command += [f"--sessions={told.sessions}", f"--turns={told.turns}"]
        command += [f"--concurrency={told.concurrency}"]
        with (folder / "log").open("a") as log:
            return subprocess.Popen(
                command,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )


def contenders(peers: Path) -> list[Contender]:
    """Ours, the bare client, and every peer that is installed."""
    own = [Contender(name, Path(sys.executable)) for name in ("parrot", "bare", "lean")]
    others = {"curator": "curator", "data_designer": "data-designer", "datatrove": "datatrove"}
    pythons = {name: peers / folder / "bin" / "python" for name, folder in others.items()}
    return own + [Contender(name, python) for name, python in pythons.items() if python.exists()]


def finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What the contender says of itself, or that it failed."""
    out, _ = process.communicate(timeout=PATIENCE_S)
    lines = [line for line in out.splitlines() if line.startswith('{"dialogues"')]
    if process.returncode or not lines:
        return {"failed": process.returncode}
    found = json.loads(lines[-1])
    assert isinstance(found, dict)
    return found


def whole(contender: Contender, api: RunningApi, told: argparse.Namespace) -> dict[str, Any]:
    """One uninterrupted run."""
    api.reset(Behaviour(told.latency_s, told.sigma, told.refuse))
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as folder:
        client = finish(contender.start(api, Path(folder), told))
    server = api.stats()
    ideal = max(m["service_s"] for m in server["models"].values()) / told.concurrency
    if len(server["models"]) == 1:  # one engine for both roles, with both limits
        ideal /= 2
    return {
        **{name: round(value, 1) for name, value in client.items()},
        "requests": server["requests"],
        "requests_per_s": round(server["answered"] / server["span_s"], 1),
        "of_ideal": round(ideal / server["span_s"], 3),
        "cpu_us_per_completion": round(client.get("cpu_s", 0) * 1e6 / server["answered"]),
    }


def killed(contender: Contender, api: RunningApi, told: argparse.Namespace) -> dict[str, Any]:
    """Kill it three times on the way, run it again each time, and count what was bought twice.

    The latency is long-tailed here, so that answers arrive one by one and not in step.
    """
    api.reset(Behaviour(told.latency_s, KILL_SIGMA))
    expected = told.sessions * (2 * told.turns - 1)
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as name:
        folder = Path(name)
        for share in KILL_AT:
            process = contender.start(api, folder, told)
            while process.poll() is None and api.stats()["distinct"] < share * expected:
                time.sleep(0.1)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        after = finish(contender.start(api, folder, told))
    server = api.stats()
    return {
        "kills": len(KILL_AT),
        "in_flight_at_the_kills": server["given_up"],
        "bought_twice": server["duplicates"],
        "dialogues_after": after.get("dialogues", after),
    }


def main() -> None:
    """Run all contenders, one after another."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    home = Path.home() / ".cache" / "parrot" / "peers"
    parser.add_argument("--peers", type=Path, default=home)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=32, help="of each of the two engines")
    parser.add_argument("--latency-s", type=float, default=0.5)
    parser.add_argument("--sigma", type=float, default=0.0)
    parser.add_argument("--refuse", type=float, default=0.0)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--no-kill", action="store_true")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    results: dict[str, Mapping[str, Any]] = {}
    with serving() as api:
        for contender in contenders(told.peers):
            if told.only and contender.name not in told.only:
                continue
            found = whole(contender, api, told)
            if not told.no_kill:
                found |= killed(contender, api, told)
            results[contender.name] = found
            if not told.json:
                print(contender.name, found, flush=True)
    if told.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
