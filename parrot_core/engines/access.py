"""How the APIs of a recipe are reached: addresses, keys and headers, and whether they answer."""

import os
import re

from parrot_core.engines.endpoint import Endpoint, clean_key, is_reachable
from parrot_core.engines.shaping import shape_of
from parrot_core.engines.types import EngineUnreachable
from parrot_core.errors import MissingKey
from parrot_core.recipe import OpenAIEngine

REACH_S = 10.0


def endpoints_of(
    name: str, settings: OpenAIEngine, timeout_s: float | None = None
) -> list[Endpoint]:
    """Where an API's requests go, one a replica.

    Raises:
        UserError: a key, or a variable that a header names, is missing or can't be sent.
    """
    key, shape = api_key(name, settings), shape_of(settings)
    headers = {header: filled(name, value) for header, value in settings.headers.items()}
    return [
        Endpoint(
            address,
            timeout_s or settings.limits.timeout_s,
            key,
            shape.key_header,
            headers,
            settings.query,
        )
        for address in addresses_of(settings)
    ]


def filled(name: str, value: str) -> str:
    """A header's value with ``${NAME}`` replaced by the environment's.

    Raises:
        MissingKey: a variable isn't set.
    """

    def variable(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise MissingKey(name, match[1])
        return found.strip()

    return re.sub(r"\$\{(\w+)\}", variable, value)


def addresses_of(settings: OpenAIEngine) -> tuple[str, ...]:
    return tuple(dict.fromkeys((settings.base_url, *settings.replica_urls)))


def api_key(name: str, settings: OpenAIEngine) -> str | None:
    """The key from the environment, as it is sent; None where the API needs none.

    Raises:
        MissingKey: the variable isn't set.
        UserError: what it holds can't be sent.
    """
    if settings.api_key_env is None:
        return None
    key = os.environ.get(settings.api_key_env)
    if not key:
        raise MissingKey(name, settings.api_key_env)
    return clean_key(key, settings.api_key_env)


def check_reachable(name: str, settings: OpenAIEngine) -> None:
    """Fail before any work is done when an API can't serve this run.

    Raises:
        UserError: its key isn't in the environment or can't be sent, or its provider is unknown.
        EngineUnreachable: nothing answers at its address.
    """
    trouble = ""
    for endpoint in endpoints_of(name, settings, REACH_S):
        why = is_reachable(endpoint)
        if not why:
            return
        trouble = trouble or f"nothing answers at {endpoint.address} ({why})"
    raise EngineUnreachable(f"engine '{name}': {trouble}")
