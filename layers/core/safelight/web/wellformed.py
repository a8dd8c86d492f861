"""Requests whose headers contradict each other or cannot be read: 400, before anything acts on one of the meanings."""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from safelight.web.problems import problem

SINGLE = frozenset({b"authorization", b"content-length", b"content-type", b"host", b"x-api-key"})
"""Headers that have one value. Of two, one part of a system may act on the first and another on the last."""
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[([0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?")
_LENGTH = re.compile(rb"[0-9]{1,19}")


def fault(headers: Iterable[tuple[bytes, bytes]], *, host: bool = False) -> str | None:
    """What is wrong with a request's headers (names in lower case), or None; with `host`, there must be one.

    Source: RFC 9110, RFC 9112 section 3.2.
    """
    seen = []
    for name, value in headers:
        if name not in SINGLE:
            continue
        if name in seen:
            return f"The header {name.decode()} was sent twice. Send it once."
        seen.append(name)
        if name == b"host" and not _is_host(value):
            return "The header host is not a host name or address. Send the server's own."
        if name == b"content-length" and not _LENGTH.fullmatch(value):
            return "The header content-length is not a number. Send the body's size in bytes."
    if host and b"host" not in seen:
        return "The header host is missing. Send the server's name."
    return None


@lru_cache(maxsize=64)
def _is_host(value: bytes) -> bool:
    match = _HOST.fullmatch(value)
    if match is None or match[1] is None:
        return match is not None
    try:
        ipaddress.IPv6Address(match[1].decode())
    except ValueError:
        return False
    return True


class Wellformed:
    """Middleware that refuses such requests, whichever way they came."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = fault(scope["headers"]) if scope["type"] == "http" else None
        if detail is None:
            await self._app(scope, receive, send)
        else:
            await problem(400, "unreadable", "This request cannot be read", detail)(scope, receive, send)
