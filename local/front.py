"""What the gateway checks of each request before it reads the body or calls a function."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Receive, Scope, Send

from local.limits import Limits
from local.rate import Rate, client_of, is_within
from local.refusals import Refusal, Tally, too_many, unreadable
from safelight.web.wellformed import fault


class Front:
    """ASGI middleware: how often a client asks, and whether the request's headers are in order."""

    def __init__(self, app: ASGIApp, limits: Limits, tally: Tally) -> None:
        self._app = app
        self._tally = tally
        self._shared, self._shared_by = tuple(limits.shared), limits.shared_by
        self._rate = (
            Rate(limits.requests_per_second, limits.requests_burst, limits.clients_remembered)
            if limits.requests_per_second
            else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            self._tally.count(f"{refusal.status} {refusal.code}")
            await refusal.send(send, head=scope["method"] == "HEAD")

    def _refusal(self, scope: Scope) -> Refusal | None:
        if self._rate is not None:
            address = scope["client"][0] if scope["client"] else ""
            share = self._shared_by if is_within(address, self._shared) else 1
            wait = self._rate.wait(client_of(address), time.monotonic(), share)
            if wait:
                return too_many(wait)
        detail = fault(scope["headers"], host=scope["http_version"] == "1.1")
        return unreadable(detail) if detail else None
