"""A run is told to stop by signals, whatever has become of its terminal."""

import signal
import subprocess
import sys

WAITS = """
import sys
import time
from flows.stopping import stopping_on_signals
from parrot_core.telemetry.stop_request import stop_request

with stopping_on_signals():
    print("ready", flush=True)
    while not stop_request().asked:
        time.sleep(0.05)
sys.exit(7)
"""


def test_a_run_whose_terminal_is_gone_still_stops() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    process.stderr.close()
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(60) == 7
    finally:
        process.kill()
        process.wait()
