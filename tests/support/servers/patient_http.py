"""Requests that wait for a busy machine's server.

httpx gives up after five seconds, and a Prefect server whose SQLite is locked answers 503, which
Prefect's own client asks again.
"""

import time
from functools import partial
from typing import Any

import httpx

TIMEOUT_S = 60.0


def _request(method: str, url: str, **given: Any) -> httpx.Response:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        response = httpx.request(method, url, timeout=TIMEOUT_S, **given)
        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
            return response
        time.sleep(0.5)


get = partial(_request, "GET")
post = partial(_request, "POST")
patch = partial(_request, "PATCH")
delete = partial(_request, "DELETE")
