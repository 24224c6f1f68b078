"""Where requests go: addresses, keys, redirects, proxies, certificates, time."""

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from parrot_core.engines.access import api_key, check_reachable, endpoints_of
from parrot_core.engines.endpoint import Endpoint, certificates, clean_key, proxy_for
from parrot_core.engines.failures import ProviderFailure
from parrot_core.engines.response import Answer
from parrot_core.engines.types import EngineUnreachable
from parrot_core.errors import MissingKey, UserError
from parrot_core.recipe import Limits, OpenAIEngine
from tests.support.servers.fake_api import Reply, completion_json

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def good(request: web.Request) -> web.StreamResponse:
    return web.json_response(completion_json(await request.json(), Reply("fine")))


@contextmanager
def listening(handler: Handler, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, Any]]:
    """A server that hands every request to a function; yields its address and what it saw."""
    seen: list[web.Request] = []
    loop, started, ports = asyncio.new_event_loop(), threading.Event(), list[int]()

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return await handler(request)

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(handle))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        ports.append(runner.addresses[0][1])
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        loop.call_soon(started.set)
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{ports[0]}", seen
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def ask(endpoint: Endpoint, body: dict[str, Any] = BODY) -> Answer:
    async def once() -> Answer:
        try:
            return await endpoint.complete(body)
        finally:
            await endpoint.close()

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://a/v1", "http://a/v1/chat/completions"),
        ("http://a/v1/", "http://a/v1/chat/completions"),
        ("http://a", "http://a/chat/completions"),
        ("http://a/v1/chat/completions", "http://a/v1/chat/completions"),
        (
            "https://r.openai.azure.com/openai/deployments/d?api-version=2024-10-21",
            "https://r.openai.azure.com/openai/deployments/d/chat/completions"
            "?api-version=2024-10-21&more=1",
        ),
    ],
)
def test_a_path_grows_and_the_query_stays_behind_it(address: str, expected: str) -> None:
    query = {"more": "1"} if "?" in address else {}
    assert str(Endpoint(address, 1, query=query).url("chat/completions")) == expected


def test_a_key_goes_into_its_header_and_no_key_into_none() -> None:
    with listening(good) as (url, seen):
        ask(Endpoint(url, 5, key="sk-1", headers={"X-Title": "t"}))
        ask(Endpoint(url, 5, key="sk-1", key_header="api-key"))
        ask(Endpoint(url, 5))
    first, second, third = (request.headers for request in seen)
    assert (first["Authorization"], first["X-Title"]) == ("Bearer sk-1", "t")
    assert (second["api-key"], "Authorization" in second) == ("sk-1", False)
    assert "Authorization" not in third


@pytest.mark.parametrize("key", ["sk-1", " sk-1\n", '"sk-1"', "Bearer sk-1", "'sk-1' \r\n"])
def test_what_copying_left_around_a_key_is_taken_off(key: str) -> None:
    assert clean_key(key, "KEY") == "sk-1"


@pytest.mark.parametrize("key", ["sk 1secret", "sk-\u200bsecret", "sk-\u00e9secret", "a\nbsecret"])
def test_a_key_that_cannot_be_sent_is_named_by_its_variable_and_not_shown(key: str) -> None:
    with pytest.raises(UserError, match="variable KEY can't be sent") as caught:
        clean_key(key, "KEY")
    assert "secret" not in str(caught.value)


def test_a_key_of_white_space_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "  ")
    with pytest.raises(UserError, match="THE_KEY holds no API key"):
        api_key("e", OpenAIEngine(model="m", api_key_env="THE_KEY"))


def test_a_headers_variable_is_filled_in_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = OpenAIEngine(model="m", api_key_env=None, headers={"X-Key": "a ${SOME_VALUE}"})
    monkeypatch.delenv("SOME_VALUE", raising=False)
    with pytest.raises(MissingKey, match="SOME_VALUE"):
        endpoints_of("e", engine)
    monkeypatch.setenv("SOME_VALUE", "b")
    assert endpoints_of("e", engine)[0].headers == {"X-Key": "a b"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_followed_with_the_requests_body(status: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/moved"):
            return await good(request)
        return web.Response(status=status, headers={"Location": "/moved/chat/completions"})

    with listening(handler) as (url, seen):
        assert ask(Endpoint(f"{url}/v1", 5, key="k")).text == "fine"
    assert [request.method for request in seen] == ["POST", "POST"]


def test_a_key_is_not_taken_to_another_host() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "http://elsewhere.invalid/v1"})

    with listening(handler) as (url, _), pytest.raises(ProviderFailure, match="elsewhere"):
        ask(Endpoint(url, 5, key="k"))


def test_a_circle_of_redirects_ends() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": request.path})

    with listening(handler) as (url, seen), pytest.raises(ProviderFailure, match="redirects"):
        ask(Endpoint(url, 5))
    assert len(seen) == 5


def test_a_trickle_of_bytes_does_not_stretch_the_timeout() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"\n")
            await asyncio.sleep(0.01)

    with listening(handler) as (url, _), pytest.raises(ProviderFailure) as caught:
        ask(Endpoint(url, 0.2))
    assert caught.value.kind == "timeout"


def test_an_answer_that_was_cut_is_a_broken_connection() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return response

    with listening(handler) as (url, _), pytest.raises(ProviderFailure) as caught:
        ask(Endpoint(url, 5))
    assert caught.value.kind == "connection"


def test_a_request_that_is_no_json_is_never_sent() -> None:
    with listening(good) as (url, seen), pytest.raises(ProviderFailure) as caught:
        ask(Endpoint(url, 5), {"messages": "\ud83d"})
    assert (caught.value.kind, seen) == ("unsendable", [])


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("no_proxies")
def test_proxies_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example,.corp")
    assert proxy_for(URL("https://api.openai.com/v1")) == "http://proxy:3128"
    assert proxy_for(URL("https://inside.example/v1")) is None
    assert proxy_for(URL("https://gateway.corp/v1")) is None
    assert proxy_for(URL("http://api.openai.com/v1")) is None
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy:1080")
    assert proxy_for(URL("http://127.0.0.1:8000/v1")) is None
    with pytest.raises(UserError, match="proxy for http addresses"):
        proxy_for(URL("http://api.openai.com/v1"))


@pytest.mark.usefixtures("no_proxies")
def test_a_request_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(good) as (url, seen):
        monkeypatch.setenv("HTTP_PROXY", url)
        assert ask(Endpoint("http://provider.invalid/v1", 5)).text == "fine"
    assert seen[0].headers["Host"] == "provider.invalid"


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate that nobody trusts, and a server's context with it."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a company's own")])
    today = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    return certificate, context


VARIABLES = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_private_certificate_is_trusted_where_the_environment_names_it(
    private: tuple[Path, ssl.SSLContext], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    certificate, context = private
    with listening(good, context) as (url, _):
        with pytest.raises(ProviderFailure, match="SSL_CERT_FILE") as caught:
            ask(Endpoint(url, 5))
        assert caught.value.kind == "certificate"
        monkeypatch.setenv(variable, str(certificate))
        assert ask(Endpoint(url, 5)).text == "fine"


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_that_names_no_certificates_is_named(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "none.pem"))
    with pytest.raises(UserError, match=variable):
        certificates()


def test_an_address_where_nothing_answers_is_named_before_the_run() -> None:
    engine = OpenAIEngine(
        model="m", base_url="http://127.0.0.1:9/v1", api_key_env=None, limits=Limits()
    )
    with pytest.raises(EngineUnreachable, match=r"engine 'e': nothing answers at http://127\.0"):
        check_reachable("e", engine)
