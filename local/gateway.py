"""API Gateway's part on this machine: an ASGI application that calls the real handlers with real events.

Routes, time-outs and its own answers come from `template.yaml`. Its limits are API Gateway's and Lambda's, so that what
works here works there: 10 MB a request, 6 MB a buffered answer, 29 s. Functions with ResponseTransferMode
RESPONSE_STREAM are web applications behind the Lambda Web Adapter; here they are called straight, so that they stream
and see a client leave.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from local.bodies import Bodies
from local.connections import Connections
from local.events import Answer, Malformed, to_answer, to_event
from local.front import Front
from local.limits import Limits, raise_file_limit
from local.protocol import protocol
from local.refusals import Tally
from local.runtime import Handler, as_role, load
from local.template import GatewayResponse, Route, Template
from safelight.config import settings
from safelight.errors import SafelightError, TooLarge
from safelight.telemetry import outline
from safelight.web import bodies, caller
from safelight.web.forwarded import Proxies
from safelight.web.observe import STRICT_TRANSPORT
from safelight.web.problems import problem, status_of
from safelight.web.receiving import receive as receive_body

log = logging.getLogger("local.gateway")

MAX_REQUEST = 10 * 1024 * 1024
"""Bytes: API Gateway's payload limit (docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""
MAX_ANSWER = 6 * 1024 * 1024
"""Bytes: Lambda's limit of a buffered answer, of the JSON text that carries it."""
GRACE_SECONDS = 5


type LimitOf = Callable[[str, str], int]
"""From a route's method and path to bytes."""


def _api_gateways(_method: str, _path: str) -> int:
    return MAX_REQUEST


class Gateway:
    """The REST API of a template as an ASGI application. `concurrency` is events at a time per function.

    `limit_of` is the most bytes that the body of a route may have, where the functions refuse more: no event is built
    of a body that they would refuse.
    """

    def __init__(self, template: Template, *, concurrency: int = 8, limit_of: LimitOf = _api_gateways) -> None:
        self._limit_of = limit_of
        self._routes = template.routes()
        self._binary = template.is_binary()
        self._functions = functions = template.functions()
        streaming = {route.function for route in self._routes if route.streams}
        self._apps: dict[str, ASGIApp] = {name: load(functions[name]).app for name in streaming}
        self._handlers = {
            name: Handler(functions[name], concurrency=concurrency)
            for name in {route.function for route in self._routes} - streaming
        }
        for handler in self._handlers.values():
            handler.load()
        self._missing = template.gateway_response("MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token")
        self._too_large = template.gateway_response("REQUEST_TOO_LARGE", 413, "Request Too Long")
        self._failed = template.gateway_response("INTEGRATION_FAILURE", 502, "Internal server error")
        self._timed_out = template.gateway_response("INTEGRATION_TIMEOUT", 504, "Endpoint request timed out")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            found = self._match(scope["method"], scope["path"])
            if found and found[0].streams:
                with as_role(self._functions[found[0].function]):
                    await self._apps[found[0].function](scope, receive, send)
            else:
                answer = await self._invoke(scope, receive, *found) if found else _own(self._missing)
                await _reply(send, answer, head=scope["method"] == "HEAD")

    def _match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        for route in self._routes:
            if route.method in ("ANY", method) and (match := route.pattern.fullmatch(path)):
                return route, match.groupdict()
        return None

    async def _invoke(self, scope: Scope, receive: Receive, route: Route, parameters: dict[str, str]) -> Answer:
        limit = self._limit_of(route.method, route.path)
        try:
            body = await receive_body(receive, scope["headers"], limit)
        except SafelightError as error:
            return _own(self._too_large) if limit == MAX_REQUEST and isinstance(error, TooLarge) else _problem(error)
        event = to_event(scope, body, route, parameters, binary=self._binary)
        del body  # the event holds it
        try:
            result = await self._handlers[route.function].invoke(event, timeout=route.timeout)
            answer = to_answer(result, binary=self._binary)
        except TimeoutError:
            log.error("%s gave no answer in time for %s %s", route.function, route.method, route.path)  # noqa: TRY400
            return _own(self._timed_out)
        except Malformed as error:
            log.error("%s: %s", route.function, error)  # noqa: TRY400 - the trace would show only this module
            return _own(self._failed)
        except Exception as error:  # noqa: BLE001 - whatever a function raises is a 502, and is told
            # As in the functions' own lines: what an error says may be a password, where it happened is none.
            log.error("%s failed: %s", route.function, outline(error))  # noqa: TRY400 - the trace ends with what it says
            return _own(self._failed)
        if len(result.get("body") or "") > MAX_ANSWER:
            log.error("%s: an answer of %d bytes is over Lambda's limit", route.function, len(answer.body))
            return _own(self._failed)
        request_id = event["requestContext"]["requestId"]
        return Answer(answer.status, [*answer.headers, (b"x-amzn-requestid", request_id.encode())], answer.body)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Start-up and shut-down of the streaming applications, which a server of their own would run."""
        async with contextlib.AsyncExitStack() as stack:
            await receive()
            for app in self._apps.values():
                router: Any = getattr(app, "router", None)
                if router is not None:
                    await stack.enter_async_context(router.lifespan_context(app))
            await send({"type": "lifespan.startup.complete"})
            await receive()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def close(self) -> None:
        """Finish what runs and end the threads; a server does it at its shut-down."""
        for handler in self._handlers.values():
            handler.close()


async def _reply(send: Send, answer: Answer, *, head: bool) -> None:
    length = (b"content-length", str(len(answer.body)).encode())
    bodiless = answer.status in (204, 304)
    headers = answer.headers if bodiless else [*answer.headers, length]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head or bodiless else answer.body})


def _own(response: GatewayResponse) -> Answer:
    headers = {"content-type": "application/json", **response.headers}
    return Answer(response.status, [(name.encode(), value.encode()) for name, value in headers.items()], response.body)


def _problem(error: SafelightError) -> Answer:
    told = problem(status_of(error) or 500, error.code, error.title, error.detail)
    headers = [(name, value) for name, value in told.raw_headers if name != b"content-length"]
    return Answer(told.status_code, headers, bytes(told.body))


def serve(
    template: Template,
    listener: socket.socket,
    limits: Limits,
    *,
    limit_of: LimitOf = _api_gateways,
    proxies: Proxies | None = None,
    is_https: bool = False,
) -> None:
    """Serve a template's API on a listening socket until a signal ends the process.

    `proxies` are those whose word about a client's address is believed; None: no one's. `is_https`: a proxy in front
    speaks TLS, so every answer says that browsers must use it.
    """
    proxies = proxies or Proxies()
    limits = limits.with_files(raise_file_limit()).behind(proxies.networks)
    # Its warnings are about what clients send, one line each: an attack would fill the disk.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    tally = Tally()
    connections = Connections(limits, tally)
    held = Bodies(max(limits.bodies_bytes, MAX_REQUEST), connections)
    config = uvicorn.Config(
        Front(Gateway(template, limit_of=limit_of), limits, tally, proxies),
        http=protocol(connections, held),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[(name.decode(), value.decode()) for name, value in [STRICT_TRANSPORT] if is_https],
        proxy_headers=False,  # Front reads them
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    """Serve the template's API on a listening socket that the supervisor opened."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--template", type=Path, default=Path("template.yaml"))
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the listening socket")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(name)s %(message)s")
    try:
        settings().token_secret  # noqa: B018 - functions here need it: its absence must show at the start
        limits = Limits.from_environment(os.environ)
    except ValueError as error:
        sys.exit(str(error))
    serve(
        Template(arguments.template),
        socket.socket(fileno=arguments.fd),
        limits,
        limit_of=bodies.limit_of,
        proxies=caller.proxies(),
        is_https=settings().is_https,
    )


if __name__ == "__main__":
    main()
