"""One line per request, a correlation id on every line, and a decent answer to a defect."""

import logging
import re
import time
import uuid
from functools import lru_cache

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.config import Misconfigured, settings
from safelight.telemetry import log_context
from safelight.web.problems import unexpected

log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CORRELATION = re.compile(r"[A-Za-z0-9-]{8,64}")
# Named in the path, so known before anything is looked up.
_IDENTIFIERS = ("share_id", "gallery_id", "photo_id")

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
"""A year of HTTPS alone (RFC 6797). Not for other names below this one, which may belong to others."""
# Nearly all that is answered is somebody's own: whatever may be kept says so itself.
NOT_KEPT = (b"cache-control", b"private, no-store")
LEFT = 499
"""The status in the log, as nginx writes it, of a client that left before its request was whole."""


class BrokenOff(Exception):
    """An answer ended in the middle. Without a cause: whoever runs this application would log what it says."""


class Observe:
    """Outermost middleware. Only the path's pattern is logged, never the path: an address can hold a secret."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        correlation_id = _correlation_id(scope)

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = [*message.get("headers", ())]
                if not any(name == b"cache-control" for name, _ in given):
                    given.append(NOT_KEPT)
                message["headers"] = [
                    *given,
                    *SECURITY_HEADERS,
                    *_transport(),
                    (b"x-request-id", correlation_id.encode()),
                ]
            await send(message)

        with log_context(correlation_id=correlation_id) as context:
            try:
                await self._app(scope, receive, observed)
            except ClientDisconnect:
                status = status or LEFT  # no defect, and nobody to answer
            except Exception:
                log.exception("request failed")
                if status:
                    raise BrokenOff from None  # half of it is out: only a broken connection tells the truth now
                await unexpected()(scope, receive, observed)
            finally:
                _identify(scope, context)
                route = getattr(scope.get("route"), "path", None)
                taken = round((time.perf_counter() - started) * 1000, 1)
                log.info(
                    "request",
                    extra={"method": scope["method"], "route": route, "status": status, "duration_ms": taken},
                )


@lru_cache(maxsize=1)
def _transport() -> tuple[tuple[bytes, bytes], ...]:
    try:
        return (STRICT_TRANSPORT,) if settings().is_https else ()
    except Misconfigured:  # the request fails by itself where it needs them
        return ()


def _correlation_id(scope: Scope) -> str:
    event = scope.get("aws.event") or {}
    given = (event.get("requestContext") or {}).get("requestId", "")
    if not given:
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return given if _CORRELATION.fullmatch(given) else str(uuid.uuid4())


def _identify(scope: Scope, context: dict[str, object]) -> None:
    for name in _IDENTIFIERS:
        value = str((scope.get("path_params") or {}).get(name, ""))
        # Whatever else stands there is a slug or a guess, and not ours to write down.
        if _ID.fullmatch(value):
            context.setdefault(name, value)
