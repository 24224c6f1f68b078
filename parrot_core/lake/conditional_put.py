"""Put-if-absent on an object store: what each answer means, and when to ask again."""

import random
import time
from typing import Any

WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Waits between tries of a write that met another one under way (HTTP 409): of the two neither may
have won."""


def created(fs: Any, path: str, data: bytes) -> bool:
    """Write an object unless there is one; whether this call did."""
    for wait_s in (*WAITS_S, None):
        try:
            fs.pipe_file(path, data, mode="create")
            break
        except FileExistsError:
            return False
        except OSError as error:
            status = _http_status(error)
            if status == 412:
                return False
            if status != 409 or wait_s is None:
                raise
            time.sleep(wait_s * random.uniform(0.5, 1.5))
    return True


def _http_status(error: OSError) -> int | None:
    """What S3 answered; s3fs keeps it as the cause."""
    response = getattr(error.__cause__, "response", None)
    if not isinstance(response, dict):
        return None
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else None
