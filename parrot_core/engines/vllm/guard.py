"""Run a server that must not outlive us: ``python -m parrot_core.engines.vllm.guard COMMAND …``.

The guard leads a process group of its own and reads its standard input, a pipe whose other end
our process holds. When that process ends in any way, even by ``kill -9``, the pipe closes and the
guard ends the whole group, vLLM's engine processes included.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE_S = 10.0


def main() -> int:
    """Start the command; end its group when it ends, or when standard input closes."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_parent, args=(child,), daemon=True).start()
    # In a thread: the main thread waits for the child and holds its lock.
    stop = threading.Thread(target=_end, args=(child,), daemon=True)
    signal.signal(signal.SIGTERM, lambda *_: stop.start())
    code = child.wait()
    print(f"guard: {sys.argv[1]} ended with code {code}", file=sys.stderr, flush=True)
    _kill_group()
    return 1


def _end_with_parent(child: "subprocess.Popen[bytes]") -> None:
    while os.read(0, 4096):
        pass
    _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
    _kill_group()


def _kill_group() -> None:
    """Kill whatever is left in our group, ourselves last (signal 9 takes all at once)."""
    if os.getpgrp() == os.getpid():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
