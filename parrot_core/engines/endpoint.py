"""One address of a chat API: where a request goes, with which key, proxy and certificates.

A request is posted as it is, over aiohttp, and what comes back is read by ``engines/response``.
"""

import asyncio
import os
import re
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import certifi
import orjson
from yarl import URL

from parrot_core.engines.failures import ProviderFailure
from parrot_core.engines.response import Answer, read_response
from parrot_core.errors import UserError

CHAT = "chat/completions"
CONNECT_S = 60.0
LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes; what is larger is no completion."""
MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 307, 308})
CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Besides ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, which OpenSSL reads by itself."""
_LOOPBACK = re.compile(r"^(?:localhost|127(?:\.\d{1,3}){3}|::1)$")


@dataclass(slots=True)
class Endpoint:
    """Where and how requests are sent. Lives on one event loop."""

    address: str  # as the recipe has it
    timeout_s: float  # for the whole of an answer, however slowly it comes
    key: str | None = None
    key_header: str = "Authorization"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    _session: aiohttp.ClientSession | None = None
    _ssl: ssl.SSLContext | None = None
    _proxy: str | None = None
    _chat: URL | None = None

    def url(self, path: str) -> URL:
        """The address of a path under the API's; its query stays behind the path."""
        base = URL(self.address)
        chat = base.path.rstrip("/").removesuffix(f"/{CHAT}")
        return base.with_path(f"{chat}/{path}", keep_query=True).update_query(dict(self.query))

    async def complete(self, body: Mapping[str, Any]) -> Answer:
        """Post one chat completion.

        Raises:
            ProviderFailure: there is none.
        """
        if self._chat is None:
            self._chat = self.url(CHAT)
        try:
            data = orjson.dumps(body)
        except TypeError as error:  # half a surrogate pair, an integer of 100 digits
            raise ProviderFailure("unsendable", str(error)) from None
        return read_response(*await self._ask("POST", self._chat, data))

    async def look(self) -> int:
        """Ask for the models, to see whether anybody is there; returns the status.

        Raises:
            ProviderFailure: nobody answers.
        """
        status, _, _ = await self._ask("GET", self.url("models"), None)
        return status

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(
        self, method: str, url: URL, data: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer, redirects followed with the body they keep."""
        session = self._session or self._open(url)
        headers: dict[str, str] | None = None
        try:
            for _ in range(MOST_REDIRECTS):
                async with session.request(
                    method,
                    url,
                    data=data,
                    headers=headers,
                    ssl=self._ssl or True,
                    proxy=self._proxy,
                    allow_redirects=False,
                ) as answer:
                    body = await _read(answer)
                    if answer.status not in _REDIRECTS or "location" not in answer.headers:
                        return answer.status, answer.headers, body
                    there = url.join(URL(answer.headers["location"]))
                if there.host != url.host or there.scheme not in ("https", url.scheme):
                    raise ProviderFailure(
                        "status",
                        f"it redirects to {there.origin()}, which may be somebody else: set "
                        "base_url to it if it is yours",
                        status=answer.status,
                    )
                url = there
        except TimeoutError:  # aiohttp's are, too
            raise ProviderFailure("timeout", f"no whole answer in {self.timeout_s:g} s") from None
        except (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError) as error:
            raise ProviderFailure(
                "certificate",
                f"{error}. If the certificate is your company's own, name its authorities' file in "
                "SSL_CERT_FILE",
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderFailure("connection", str(error) or type(error).__name__) from None
        raise ProviderFailure("status", f"more than {MOST_REDIRECTS} redirects", status=310)

    def _open(self, url: URL) -> aiohttp.ClientSession:
        """The session of all requests; made on the event loop that it lives on."""
        headers = {"Content-Type": "application/json", **self.headers}
        if self.key is not None:
            bearer = self.key_header.lower() == "authorization"
            headers[self.key_header] = f"Bearer {self.key}" if bearer else self.key
        if url.scheme == "https":
            self._ssl = certificates()
        self._proxy = proxy_for(url)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(
                total=self.timeout_s, sock_connect=min(CONNECT_S, self.timeout_s)
            ),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body.

    Raises:
        ProviderFailure: it is larger than any completion.
    """
    size = 0
    pieces: list[bytes] = []
    async for piece in answer.content.iter_any():
        size += len(piece)
        if size > LARGEST_ANSWER:
            answer.close()
            raise ProviderFailure("invalid", f"an answer of more than {LARGEST_ANSWER:,} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def certificates() -> ssl.SSLContext:
    """The authorities that are trusted: the system's, certifi's, and those of the environment.

    Raises:
        UserError: a variable names a file that holds none.
    """
    named = os.environ.get("SSL_CERT_FILE")
    if named and not Path(named).is_file():
        raise UserError(f"SSL_CERT_FILE names {named}, which is no file")
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    for variable in CA_BUNDLES:
        place = os.environ.get(variable)
        if not place:
            continue
        try:
            folder = Path(place).is_dir()
            context.load_verify_locations(
                cafile=None if folder else place, capath=place if folder else None
            )
        except (OSError, ssl.SSLError) as error:
            raise UserError(
                f"{variable} names {place}, which holds no certificates: {error}"
            ) from None
    return context


def proxy_for(url: URL) -> str | None:
    """The proxy that the environment names for an address (``HTTPS_PROXY``, ``NO_PROXY`` …).

    Raises:
        UserError: it is of a kind that can't be used.
    """
    host = url.host or ""
    if _LOOPBACK.match(host) or urllib.request.proxy_bypass(f"{host}:{url.port}"):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not re.match(r"https?://", proxy):
        if "://" in proxy:
            raise UserError(f"the proxy for {url.scheme} addresses must be http:// or https://")
        proxy = f"http://{proxy}"
    return proxy or None


def clean_key(key: str, variable: str) -> str:
    """A key as it is sent: without the white space and quotes that copying left around it.

    Raises:
        UserError: it holds what no header may; the message never shows it.
    """
    clean = key.strip().strip("\"'").strip().removeprefix("Bearer ").strip()
    if not clean:
        raise UserError(f"the environment variable {variable} holds no API key, only white space")
    odd = next((place for place, char in enumerate(clean) if not "!" <= char <= "~"), None)
    if odd is not None:
        raise UserError(
            f"the API key in the environment variable {variable} can't be sent: its character "
            f"{odd + 1} of {len(clean)} is no letter, digit or ASCII sign (white space within it?)"
        )
    return clean


def is_reachable(endpoint: Endpoint) -> str:
    """Why nothing answers at an address; empty if something does."""

    async def look() -> str:
        try:
            await endpoint.look()
        except ProviderFailure as failure:
            return str(failure)
        finally:
            await endpoint.close()
        return ""

    return asyncio.run(look())
