"""What the gateway checks of each request before it reads the body or calls a function."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.limits import Limits
from local.rate import Rate, is_within
from local.refusals import Refusal, Tally, too_many, unreadable
from safelight.web.forwarded import Proxies
from safelight.web.observe import STRICT_TRANSPORT
from safelight.web.wellformed import fault


class Front:
    """ASGI middleware: who asks, how often, and whether the request's headers are in order.

    The application gets the address of the client that a trusted proxy names, in place of the proxy's. What it says
    about HTTPS is left out: the server says that for every answer, its own refusals as well.
    """

    def __init__(self, app: ASGIApp, limits: Limits, tally: Tally, proxies: Proxies) -> None:
        self._app = app
        self._tally = tally
        self._proxies = proxies
        self._shared, self._shared_by = tuple(limits.shared), limits.shared_by
        self._rate = (
            Rate(limits.requests_per_second, limits.requests_burst, limits.clients_remembered)
            if limits.requests_per_second
            else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        peer, port = scope["client"] or ("", 0)
        address = self._proxies.client(peer, scope["headers"]) or ""
        refusal = self._refusal(scope, address)
        if refusal is None:
            await self._app(
                {**scope, "client": (address, port if address == peer else 0)}, receive, _without_strict_transport(send)
            )
        else:
            self._tally.count(f"{refusal.status} {refusal.code}")
            await refusal.send(send, head=scope["method"] == "HEAD")

    def _refusal(self, scope: Scope, address: str) -> Refusal | None:
        if self._rate is not None:
            share = self._shared_by if is_within(address, self._shared) else 1
            wait = self._rate.wait_for_address(address, time.monotonic(), share)
            if wait:
                return too_many(wait)
        detail = fault(scope["headers"], host=scope["http_version"] == "1.1")
        return unreadable(detail) if detail else None


def _without_strict_transport(send: Send) -> Send:
    async def passed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [pair for pair in message["headers"] if pair[0] != STRICT_TRANSPORT[0]]
        await send(message)

    return passed
