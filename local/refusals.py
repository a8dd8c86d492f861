"""Answers of the gateway to requests that it does not take, as RFC 9457 problems."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import Send

log = logging.getLogger("local.gateway")

REPORT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not taken, in the words of its answer. `retry_after` is in seconds."""

    status: int
    code: str
    title: str
    detail: str
    retry_after: int | None = None

    @property
    def body(self) -> bytes:
        """The problem document."""
        members = {"status": self.status, "code": self.code, "title": self.title, "detail": self.detail}
        return json.dumps({"type": "about:blank", **members}).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """All headers but those of the connection."""
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(self.body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if self.retry_after is not None:
            headers.append((b"retry-after", str(self.retry_after).encode()))
        return headers

    def message(self, extra: Iterable[tuple[bytes, bytes]], *, head: bool) -> bytes:
        """The whole HTTP/1.1 answer, after which the connection is closed."""
        lines = [b"HTTP/1.1 %d %s" % (self.status, HTTPStatus(self.status).phrase.encode())]
        lines += [b"%s: %s" % header for header in (*extra, *self.headers(), (b"connection", b"close"))]
        return b"\r\n".join([*lines, b"", b"" if head else self.body])

    async def send(self, send: Send, *, head: bool) -> None:
        """Answer an ASGI request; the connection stays."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers()})
        await send({"type": "http.response.body", "body": b"" if head else self.body})


def unreadable(detail: str) -> Refusal:
    """A request that breaks the protocol."""
    return Refusal(400, "unreadable", "This request cannot be read", detail)


MALFORMED = unreadable("The request is not valid HTTP. Send it again as RFC 9112 describes.")
PIPELINE = unreadable("Too many requests are waiting on this connection. Wait for the answers before sending more.")
TIMEOUT = Refusal(408, "request_timeout", "The request took too long", "It did not arrive in time. Send it again.")
TARGET = Refusal(414, "target_too_long", "The address is too long", "Send a shorter address.")
HEADERS = Refusal(
    431, "headers_too_large", "The headers are too large", "Send fewer or shorter headers, for example fewer cookies."
)
CONNECTIONS = Refusal(
    429, "too_many_connections", "Too many connections", "Close some of your connections and try again.", 5
)
BUSY = Refusal(503, "busy", "The server is busy", "Too many clients use it now. Try again in a few seconds.", 5)


def too_many(seconds: float) -> Refusal:
    """More requests than a client may send; it may send the next one in so many seconds."""
    wait = max(1, round(seconds + 0.5))
    return Refusal(429, "too_many_requests", "Too many requests", f"Wait {wait} s and try again.", wait)


class Tally:
    """Counts of what was refused, for one log line a minute: an attack must not fill the log."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._since = 0.0

    def count(self, reason: str) -> None:
        """Count one."""
        self._counts[reason] += 1

    def report(self, now: float) -> None:
        """Write the line if a minute has passed since the last one; `now` is a monotonic clock's."""
        if self._counts and now - self._since >= REPORT_SECONDS:
            log.warning("refused: %s", ", ".join(f"{reason} {count}" for reason, count in self._counts.most_common()))
            self._counts.clear()
            self._since = now
