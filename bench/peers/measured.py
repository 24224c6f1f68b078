"""What every contender shares: its arguments, the opening queries, and what it reports of itself.

Standard library only: it is imported inside the environments of the peers.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Work:
    """The work: so many dialogues of so many turns, at one API."""

    base_url: str
    sessions: int
    turns: int
    concurrency: int  # requests in flight, for each of the two models
    folder: Path  # where results, checkpoints and caches go; a rerun with the same one resumes

    def openings(self) -> list[str]:
        """The first query of each dialogue."""
        return [f"Opening question {n}: how does thing {n} work?" for n in range(self.sessions)]


def measure(description: str, run: Callable[[Work], int]) -> None:
    """Run a contender as told on the command line; prints what it took as one line of JSON.

    ``run`` returns the number of dialogues that came out.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--folder", type=Path, required=True)
    work = Work(**vars(parser.parse_args()))
    work.folder.mkdir(parents=True, exist_ok=True)
    cpu, started = _cpu_s(), time.monotonic()
    dialogues = run(work)
    figures = {
        "dialogues": dialogues,
        "seconds": time.monotonic() - started,
        "cpu_s": _cpu_s() - cpu,
        "peak_rss_mb": _peak_rss_mb(),
    }
    print(json.dumps(figures), flush=True)


def _cpu_s() -> float:
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(who) for who in both]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _peak_rss_mb() -> float:
    """Of this process, or of its largest child if that was larger."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in both) / 1024
