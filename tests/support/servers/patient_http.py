"""Requests that wait for a busy machine's server: httpx gives up after five seconds."""

from functools import partial

import httpx

TIMEOUT_S = 60.0

get = partial(httpx.get, timeout=TIMEOUT_S)
post = partial(httpx.post, timeout=TIMEOUT_S)
patch = partial(httpx.patch, timeout=TIMEOUT_S)
delete = partial(httpx.delete, timeout=TIMEOUT_S)
