"""Who may look: login, the same origin for everything that acts, and headers that keep us private.

An ASGI middleware around the whole application, so that no page, file or websocket is left out.
"""

import asyncio
import hmac
import os
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parrot_core.errors import UserError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
PASSWORD_VARIABLE = "PARROT_DASHBOARD_PASSWORD"
FEWEST_CHARS = 8
SESSION_S = 30 * 24 * 3600
"""How long a login is good for, through restarts of browser and server."""

ALIVE = "/alive"
"""Where an open page asks whether it is still let in."""

KEY_BYTES = 32
WRONG_PASSWORD_S = 1.0
"""How long a wrong password takes; one at a time, so that guessing gets nowhere."""

LONGEST_FORM = 4096

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""The browser itself refuses any request to elsewhere, whatever a text may contain.

NiceGUI starts its page with an inline script and compiles Vue templates: hence the two exceptions;
nothing that comes from data is ever put into either.
"""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Secret:
    """What opens the dashboard."""

    text: str
    chosen: bool  # by a person, in the environment; else made for this start
    key: bytes  # signs logins; outlasts a restart, and changes with the password


def signing_key(folder: Path) -> bytes:
    """The key that signs logins, made once and readable by its owner only.

    Where it can't be kept, a new one is made: then a restart asks everybody to log in again.
    """
    path = folder / "dashboard-key"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
        if len(key) == KEY_BYTES:
            return key
    return secrets.token_bytes(KEY_BYTES)


def secret_for(host: str, environment: MutableMapping[str, str]) -> Secret:
    """The password of the environment, or a token for this start.

    Raises:
        UserError: the address is reachable from elsewhere and no password was chosen, or it is
            too short.
    """
    chosen = environment.get(PASSWORD_VARIABLE, "")
    if chosen and len(chosen) < FEWEST_CHARS:
        raise UserError(f"{PASSWORD_VARIABLE} has fewer than {FEWEST_CHARS} characters")
    key = signing_key(Path(environment.get("PARROT_WORK", ".parrot/work")).absolute())
    if chosen:
        signed = hmac.digest(key, chosen.encode(), "sha256")
        return Secret(chosen, chosen=True, key=signed)
    if not is_loopback(host):
        raise UserError(
            f"--host {host} can be reached from other machines: set {PASSWORD_VARIABLE} first, or "
            "stay at 127.0.0.1 and forward the port over ssh"
        )
    return Secret(secrets.token_urlsafe(24), chosen=False, key=key)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    return host in LOOPBACK or host == "::1"


class Guard:
    """Lets in who has the secret, from our own pages only."""

    def __init__(
        self,
        app: ASGIApp,
        secret: Secret,
        port: int,
        *,
        local_only: bool,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Guard ``app``.

        Args:
            port: part of the cookie's name, as cookies don't know ports.
            local_only: refuse names that aren't this machine's own, against DNS rebinding.
            clock: seconds since 1970, for the end of a login.
        """
        self.app = app
        self._secret = secret
        self._cookie = f"parrot-{port}"
        self._local_only = local_only
        self._sleep = sleep
        self._clock = clock
        self._guessing = asyncio.Semaphore(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is let in; answer the rest."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            if self._knows_host(scope) and self._logged_in(scope) and _from_here(scope, must=True):
                await self.app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
        else:
            await self._http(scope, receive, _with_headers(send))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await self._refusal(scope, receive)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        gone = False

        async def heard() -> Message:
            nonlocal gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            return message

        try:
            await self.app(scope, heard, send)
        except RuntimeError:  # Starlette's way to say that nobody waits for the answer any more
            if not gone:
                raise

    async def _refusal(self, scope: Scope, receive: Receive) -> Response | None:
        """What to answer instead of the application; None lets the request pass."""
        request = Request(scope, receive)
        if not self._knows_host(scope):
            return PlainTextResponse("this dashboard answers to this machine's own name only", 421)
        reads = request.method in ("GET", "HEAD")
        if not reads and not _from_here(scope, must=False):
            return PlainTextResponse("refused: the request comes from another site", 403)
        if request.url.path == "/login":
            return _login_page(request) if reads else await self._log_in(request)
        token = request.query_params.get("token")
        if reads and token is not None:
            return await self._enter(token, _without_token(request))
        if request.url.path == ALIVE:
            return Response(status_code=204 if self._logged_in(scope) else 401)
        if self._logged_in(scope):
            return None
        if reads and "text/html" in request.headers.get("accept", ""):
            back = _local_path(_without_token(request))
            return RedirectResponse(f"/login?{urlencode({'next': back})}", 303)
        return PlainTextResponse("log in first", 401)

    async def _log_in(self, request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST_FORM:
                return PlainTextResponse("too long", 413)
        form = parse_qs(body.decode("utf-8", "replace"))
        return await self._enter(form.get("password", [""])[0], form.get("next", ["/"])[0])

    async def _enter(self, offered: str, target: str) -> Response:
        if not hmac.compare_digest(offered.encode(), self._secret.text.encode()):
            async with self._guessing:
                await self._sleep(WRONG_PASSWORD_S)
            return _form(_local_path(target), "That is not the password.", 403)
        login = f"{int(self._clock()) + SESSION_S}.{secrets.token_urlsafe(16)}"
        answer = RedirectResponse(_local_path(target), 303)
        answer.set_cookie(
            self._cookie,
            f"{login}.{self._signed(login)}",
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            path="/",
        )
        return answer

    def _signed(self, login: str) -> str:
        return hmac.new(self._secret.key, login.encode(), "sha256").hexdigest()

    def _is_login(self, offered: str) -> bool:
        """Whether a cookie is a login that was given here, or before a restart, and still holds."""
        login, _, signature = offered.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signed(login).encode()):
            return False
        ends = login.partition(".")[0]
        return ends.isdecimal() and self._clock() < int(ends)

    def _logged_in(self, scope: Scope) -> bool:
        cookies = Headers(scope=scope).get("cookie", "")
        pairs = (part.strip().partition("=") for part in cookies.split(";"))
        offered = [value for name, _, value in pairs if name == self._cookie]
        return any(map(self._is_login, offered))

    def _knows_host(self, scope: Scope) -> bool:
        host = Headers(scope=scope).get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        return not self._local_only or is_loopback(name)


def _from_here(scope: Scope, *, must: bool) -> bool:
    """Whether one of our own pages asks: the origin is the address asked. ``must`` it be said?"""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return not must and headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return urlsplit(origin).netloc == headers.get("host", "")


def _with_headers(send: Send) -> Send:
    async def told(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = POLICY
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
        await send(message)

    return told


def _without_token(request: Request) -> str:
    left = [(name, text) for name, text in request.query_params.multi_items() if name != "token"]
    return request.url.path + (f"?{urlencode(left)}" if left else "")


def _local_path(target: str) -> str:
    """A path of this site, whatever was asked for: no login leads elsewhere."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if safe and target.isprintable() else "/"


def _login_page(request: Request) -> Response:
    return _form(_local_path(request.query_params.get("next", "/")), "", 200)


def _form(target: str, problem: str, status: int) -> Response:
    return HTMLResponse(
        LOGIN.replace("{next}", escape(target, quote=True)).replace("{problem}", escape(problem)),
        status,
    )


LOGIN = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Parrot Factory</title>
<link rel="icon" href="data:,"><meta name="viewport"
content="width=device-width, initial-scale=1"><style>
:root{color-scheme:light dark;--bg:#f6f7f5;--card:#fff;--ink:#18211d;--soft:#5c6a63;--green:#17704a}
@media(prefers-color-scheme:dark){:root{--bg:#111513;--card:#1a201e;--ink:#e7ece9;--soft:#9aa8a0;
--green:#4fc48c}}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--bg);
color:var(--ink);font:16px/1.5 system-ui,sans-serif}
form{background:var(--card);padding:32px;border-radius:16px;width:min(360px,90vw);
box-shadow:0 8px 40px #0002}h1{font-size:21px;margin:0 0 4px}p{color:var(--soft);margin:0 0 18px}
input,button{width:100%;box-sizing:border-box;font:inherit;padding:10px 12px;border-radius:9px}
input{border:1px solid #8886;background:transparent;color:inherit;margin-bottom:12px}
button{border:0;background:var(--green);color:var(--bg);font-weight:600;cursor:pointer}
output{color:#c8443a;display:block;min-height:24px}</style></head><body>
<form method="post" action="/login"><h1>Parrot Factory</h1>
<p>The password, or the token that <code>parrot dashboard</code> printed.</p>
<input type="hidden" name="next" value="{next}">
<input type="password" name="password" aria-label="Password" autocomplete="current-password"
autofocus required><output>{problem}</output><button>Log in</button></form></body></html>"""
