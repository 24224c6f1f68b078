#!/usr/bin/env python3
"""Tells by its exit status whether addresses answer: a container's health check.

usage: healthy [ADDRESS ...]    http://…: answers with 2xx; tcp://HOST:PORT: accepts a connection.
Without an address it asks those of $PARROT_HEALTHY. Only the standard library, so that every image
has it.
"""

import os
import socket
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

TIMEOUT_S = 8.0


def answers(address: str) -> str | None:
    """None if ``address`` answers, else why not.

    Raises:
        ValueError: neither http(s) nor tcp with a port.
    """
    parts = urlsplit(address)
    try:
        if parts.scheme == "tcp" and parts.hostname and parts.port:
            socket.create_connection((parts.hostname, parts.port), TIMEOUT_S).close()
        elif parts.scheme in ("http", "https"):
            urllib.request.urlopen(address, timeout=TIMEOUT_S).close()
        else:
            raise ValueError(f"{address}: expected http://… or tcp://HOST:PORT")
    except (urllib.error.URLError, OSError) as error:
        return str(error)
    return None


def main(addresses: list[str]) -> int:
    """Ask all of them; 1 as soon as one doesn't answer, 2 if there is nothing to ask."""
    if not addresses:
        print("healthy: no address; give one or set PARROT_HEALTHY", file=sys.stderr)
        return 2
    for address in addresses:
        try:
            problem = answers(address)
        except ValueError as error:
            print(f"healthy: {error}", file=sys.stderr)
            return 2
        if problem is not None:
            print(f"healthy: {address}: {problem}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or os.environ.get("PARROT_HEALTHY", "").split()))
