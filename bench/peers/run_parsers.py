"""What it takes merely to parse a JSON array, and to read JSON lines with datatrove.

Usage: python bench/peers/run_parsers.py (ijson|orjson|json|datatrove) FILE

Runs in datatrove's environment, which has orjson; `setup.sh` adds ijson.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def _ijson(file: Path) -> Iterator[Any]:
    import ijson

    with file.open("rb") as stream:
        yield from ijson.get_backend("yajl2_c").items(stream, "item", buf_size=1 << 20)


def _orjson(file: Path) -> Iterator[Any]:
    import orjson

    yield from orjson.loads(file.read_bytes())


def _json(file: Path) -> Iterator[Any]:
    with file.open() as stream:
        yield from json.load(stream)


def _datatrove(file: Path) -> Iterator[Any]:
    from datatrove.pipeline.readers import JsonlReader

    def text_of(self: Any, data: dict[str, Any], path: str, row: int) -> dict[str, Any]:
        turns = data["conversations"]
        return {"text": "\n\n".join(t["value"] for t in turns) or "-", "id": data["id"]}

    reader = JsonlReader(str(file.parent), adapter=text_of, glob_pattern=file.name)
    yield from reader.run()


PARSERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    "ijson": _ijson,
    "orjson": _orjson,
    "json": _json,
    "datatrove": _datatrove,
}


def peak_rss_mb() -> float:
    """This process's peak; unlike getrusage's it doesn't begin with what the parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Parse, and print the figures as one line of JSON."""
    parse, file = PARSERS[sys.argv[1]], Path(sys.argv[2])
    started, cpu = time.monotonic(), time.process_time()
    records = sum(1 for _ in parse(file))
    figures = {
        "records": records,
        "seconds": time.monotonic() - started,
        "cpu_s": time.process_time() - cpu,
        "peak_rss_mb": peak_rss_mb(),
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
