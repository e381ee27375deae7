"""Who may ask, and what a browser may do with the answers. Knows no pages.

The server is for the people at this machine, or for those who have the token. A page of another
site that resolves its own name to this machine (DNS rebinding) is refused by its ``Host``.
"""

from __future__ import annotations

import hmac
import ipaddress
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kndb.errors import UsageError
from kndb_serve.policy import POLICY

HEADERS = {
    "content-security-policy": f"{POLICY}; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""On every answer: nothing from elsewhere, no inline scripts or styles, no framing."""

COOKIE = "kndb_serve"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it.

    >>> is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("localhost")
    (True, True, True)
    >>> is_loopback("0.0.0.0"), is_loopback("example.org")
    (False, False)
    """
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_binding(host: str, token: str | None) -> None:
    """Refuse to serve other machines without a token.

    Raises:
        UsageError: the host is not this machine's loopback, and there is no token; or it is short.
    """
    if token is not None and len(token) < 16:
        raise UsageError(
            f"The token has {len(token)} characters; give at least 16, such as those of "
            "`openssl rand -hex 16`."
        )
    if token is None and not is_loopback(host):
        raise UsageError(
            f"{host} can be reached from other machines; give a --token of 16 characters or more, "
            "which they have to know, or leave out --host."
        )


class Guard:
    """Checks host, method and token, and adds the headers.

    Args:
        app: what answers.
        host: where the server is bound. On loopback, only loopback names may be asked for;
            elsewhere any, because there the token protects.
        token: what a request must know.
    """

    def __init__(self, app: ASGIApp, host: str, token: str | None) -> None:
        self._app = app
        self._loopback = is_loopback(host)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        cookie = None

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
                if cookie is not None:
                    headers.append("set-cookie", cookie)
            await send(message)

        refused = self._refused(scope)
        if refused is not None:
            await refused(scope, receive, guarded)
            return
        cookie = self._cookie(scope)
        await self._app(scope, receive, guarded)

    def _refused(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._loopback and not is_loopback(_without_port(host)):
            return PlainTextResponse(
                f"This server is only for this machine; ask for it as localhost, not {host!r:.80}.",
                421,
            )
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(
                "This server only reads; use GET or HEAD.", 405, {"allow": "GET, HEAD"}
            )
        if self._token is not None and not self._known(headers, scope):
            return PlainTextResponse(
                "A token is needed: add ?token=... once, or send it as 'Authorization: Bearer'.",
                401,
                {"www-authenticate": 'Bearer realm="kndb"'},
            )
        return None

    def _known(self, headers: Headers, scope: Scope) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._matches(bearer.strip()):
            return True
        if self._matches(_token_of(scope)):
            return True
        return hmac.compare_digest(_cookie_of(headers).encode(), self._secret().encode())

    def _matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), str(self._token).encode())

    def _secret(self) -> str:
        """What the cookie holds: not the token itself."""
        return sha256(b"kndb serve " + str(self._token).encode()).hexdigest()

    def _cookie(self, scope: Scope) -> str | None:
        """The cookie for a browser that has just brought the token in the address."""
        if self._token is None or not self._matches(_token_of(scope)):
            return None
        return f"{COOKIE}={self._secret()}; Path=/; HttpOnly; SameSite=Strict"


def _without_port(host: str) -> str:
    """The name in a ``Host``: ``[::1]:80`` is ``[::1]``."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _token_of(scope: Scope) -> str:
    query: dict[str, list[str]] = parse_qs(scope["query_string"].decode("latin-1"))
    return query.get("token", [""])[0]


def _cookie_of(headers: Headers) -> str:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return str(cookies[COOKIE].value) if COOKIE in cookies else ""
