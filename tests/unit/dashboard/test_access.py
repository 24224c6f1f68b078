"""Who has the secret gets in, from our own pages only; nobody else sees or does anything."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard.access import PASSWORD_VARIABLE, Guard, Secret, _local_path, secret_for
from parrot_core.errors import UserError

HERE = "http://127.0.0.1:8787"
SECRET = Secret("sesame-sesame", chosen=True, key=b"k" * 32)


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"lake {request.method}")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("live")
    await socket.close()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def client(slept: list[float]) -> Iterator[TestClient]:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    app = Starlette(
        routes=[Route("/{p:path}", _page, methods=["GET", "POST"]), WebSocketRoute("/ws", _socket)]
    )
    guard = Guard(app, SECRET, 8787, local_only=True, sleep=sleep)
    with TestClient(guard, base_url=HERE, follow_redirects=False) as made:
        yield made


def _log_in(client: TestClient) -> None:
    answer = client.post(
        "/login",
        data={"password": SECRET.text, "next": "/run/demo"},
        headers={"origin": HERE},
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/run/demo")


def test_without_login_pages_lead_to_it_and_all_else_is_refused(client: TestClient) -> None:
    answer = client.get("/run/demo?x=1", headers={"accept": "text/html"})
    assert answer.headers["location"] == "/login?next=%2Frun%2Fdemo%3Fx%3D1"
    assert client.get("/file.js").status_code == 401
    assert "password" in client.get("/login").text
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws"):
        pass


def test_the_password_lets_in_and_its_cookie_is_kept_from_scripts_and_other_sites(
    client: TestClient,
) -> None:
    answer = client.post("/login", data={"password": SECRET.text}, headers={"origin": HERE})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert SECRET.text not in cookie
    assert client.get("/").text == "lake GET"


def test_the_link_with_the_token_lets_in_and_drops_the_token_from_the_address(
    client: TestClient,
) -> None:
    answer = client.get(f"/data?token={SECRET.text}&q=a")
    assert answer.headers["location"] == "/data?q=a"
    assert client.get("/data").status_code == 200


def test_a_wrong_password_waits_and_opens_nothing(client: TestClient, slept: list[float]) -> None:
    answer = client.post("/login", data={"password": "guess"}, headers={"origin": HERE})
    assert (answer.status_code, slept) == (403, [1.0])
    assert client.get("/?token=guess").status_code == 403
    assert client.get("/").status_code == 401


def test_another_site_can_neither_post_nor_open_a_websocket(client: TestClient) -> None:
    _log_in(client)
    evil = {"origin": "http://evil.example"}
    assert client.post("/act", headers=evil).status_code == 403
    assert client.post("/act", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/act", headers={"origin": HERE}).text == "lake POST"
    for headers in (evil, {}, {"origin": "null"}):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("/ws", headers={**headers, "host": "127.0.0.1:8787"}),
        ):
            pass
    live = {"origin": HERE, "host": "127.0.0.1:8787"}
    with client.websocket_connect(f"{HERE.replace('http', 'ws')}/ws", headers=live) as socket:
        assert socket.receive_text() == "live"


def test_a_name_that_is_not_this_machines_is_refused_against_rebinding(client: TestClient) -> None:
    _log_in(client)
    assert client.get("/", headers={"host": "evil.example:8787"}).status_code == 421
    assert client.get("/", headers={"host": "localhost:8787"}).status_code == 200


def test_every_answer_forbids_requests_to_elsewhere(client: TestClient) -> None:
    for path in ("/login", "/", "/x.js"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy


def _guarded(secret: Secret, now: float = 1e9) -> TestClient:
    app = Starlette(routes=[Route("/{p:path}", _page)])
    guard = Guard(app, secret, 8787, local_only=True, clock=lambda: now)
    return TestClient(guard, base_url=HERE, follow_redirects=False)


def test_a_login_outlasts_a_restart_but_not_another_password_nor_its_time(
    client: TestClient, tmp_path: Path
) -> None:
    work = {"PARROT_WORK": str(tmp_path)}
    first = _guarded(secret_for("127.0.0.1", dict(work)))
    token = secret_for("127.0.0.1", dict(work))
    first = _guarded(token)
    first.get(f"/?token={token.text}")
    cookies = first.cookies
    again = _guarded(secret_for("127.0.0.1", dict(work)))
    again.cookies = cookies
    assert (again.get("/").text, again.get("/alive").status_code) == ("lake GET", 204)
    later = _guarded(secret_for("127.0.0.1", dict(work)), now=1e9 + 31 * 24 * 3600)
    chosen = _guarded(secret_for("127.0.0.1", {**work, PASSWORD_VARIABLE: "a new password"}))
    for other in (later, chosen):
        other.cookies = cookies
        assert (other.get("/").status_code, other.get("/alive").status_code) == (401, 401)
    assert (tmp_path / "dashboard-key").stat().st_mode & 0o077 == 0


@given(st.text(max_size=80))
def test_a_cookie_that_was_not_given_here_is_no_login(offered: str) -> None:
    assert not Guard(_page, SECRET, 8787, local_only=True)._is_login(offered)  # type: ignore[arg-type]


@given(st.text(max_size=30))
def test_a_login_never_leads_to_another_site(target: str) -> None:
    found = _local_path(target)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isprintable()


def test_an_address_that_others_reach_needs_a_password_of_some_length(tmp_path: Path) -> None:
    work = {"PARROT_WORK": str(tmp_path)}
    with pytest.raises(UserError, match=PASSWORD_VARIABLE):
        secret_for("0.0.0.0", {})
    with pytest.raises(UserError, match="fewer than"):
        secret_for("127.0.0.1", {PASSWORD_VARIABLE: "short"})
    assert secret_for("0.0.0.0", {PASSWORD_VARIABLE: "long enough", **work}).chosen
    made: set[Any] = {secret_for("127.0.0.1", dict(work)).text for _ in range(3)}
    assert len(made) == 3
