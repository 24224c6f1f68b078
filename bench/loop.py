"""How close the conversation loop comes to its ideal: the slower of two engines, never idle.

Usage: python bench/loop.py [--sessions 1000] [--latency-s 1] [--concurrency 64] [--repeat 3]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slow_api import Behaviour, RunningApi, serving

PEERS = Path(__file__).parent / "peers"
OURS = "run_parrot.py"
YARDSTICKS = ("run_bare.py", "run_lean.py")  # for the CPU time of a completion
FAULTS = {"refuse": 0.05, "bad": 0.01}


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of one contender against one behaviour of the server."""

    client: dict[str, Any]
    server: dict[str, Any]
    concurrency: int

    @property
    def ideal_s(self) -> float:
        """The slower engine's service time at its concurrency limit, refused requests included."""
        busiest = max(model["service_s"] for model in self.server["models"].values())
        return float(busiest / self.concurrency)

    @property
    def seconds(self) -> float:
        """From the first request that the server saw to its last answer."""
        return float(self.server["span_s"])

    @property
    def cpu_us(self) -> float:
        """Client's CPU microseconds a completion."""
        return float(self.client["cpu_s"] * 1e6 / self.server["answered"])


def run(
    script: str, api: RunningApi, behaviour: Behaviour, sessions: int, turns: int, concurrency: int
) -> Figures:
    """Run one contender in a process and a folder of its own."""
    api.reset(behaviour)
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as folder:
        command = [sys.executable, str(PEERS / script), f"--base-url={api.base_url}"]
        command += [f"--sessions={sessions}", f"--turns={turns}", f"--concurrency={concurrency}"]
        command += [f"--folder={folder}"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    client = json.loads(done.stdout.splitlines()[-1])
    return Figures(client, api.stats(), concurrency)


def main() -> None:
    """Run all four behaviours, with the first one the yardsticks too, and print the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--latency-s", type=float, default=1.0)
    parser.add_argument("--sigma", type=float, default=0.6, help="of the long-tailed latency")
    parser.add_argument("--concurrency", type=int, default=64, help="of each of the two engines")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--only", help="one of the behaviours")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    behaviours = {
        "fixed": Behaviour(told.latency_s),
        "fixed, faults": Behaviour(told.latency_s, **FAULTS),
        "long tail": Behaviour(told.latency_s, told.sigma),
        "long tail, faults": Behaviour(told.latency_s, told.sigma, **FAULTS),
    }
    if told.only:
        behaviours = {told.only: behaviours[told.only]}
    results = []
    with serving() as api:
        for name, behaviour in behaviours.items():
            for script in (OURS, *(YARDSTICKS if name == "fixed" else ())):
                for _ in range(told.repeat):
                    size = (told.sessions, told.turns, told.concurrency)
                    figures = run(script, api, behaviour, *size)
                    results.append({"behaviour": name, "script": script, **summary(figures)})
                    if not told.json:
                        print(results[-1], flush=True)
    if told.json:
        print(json.dumps(results))


def summary(figures: Figures) -> dict[str, Any]:
    """What is worth printing."""
    return {
        "ratio": round(figures.ideal_s / figures.seconds, 4),
        "ideal_s": round(figures.ideal_s, 2),
        "seconds": round(figures.seconds, 2),
        "cpu_us": round(figures.cpu_us),
        "peak_rss_mb": round(figures.client["peak_rss_mb"]),
        "dialogues": figures.client["dialogues"],
        "requests": figures.server["requests"],
        "duplicates": figures.server["duplicates"],
        "most_in_flight": {k: m["most_in_flight"] for k, m in figures.server["models"].items()},
        "server_cpu_s": round(figures.server["server_cpu_s"], 1),
    }


if __name__ == "__main__":
    main()
