"""Receiving a request's body up to its route's limit, before anything looks at it."""

import json
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope

from safelight.errors import Unreadable
from safelight.web import jsonbody
from safelight.web.bodies import BodyTooLarge, limit_of

LENGTH = b"content-length"


class BoundedRoute(APIRoute):
    """A route that answers 413 to a body over its limit. Dependencies and the handler run on whole bodies only."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        limit = min(limit_of(method, self.path) for method in self.methods or {"GET"})

        async def bounded(request: Request) -> Response:
            body = await receive(request.receive, request.scope["headers"], limit)
            return await handle(Received(request.scope, request.receive, body))

        return bounded


class Received(Request):
    """A request whose body is there already. Its JSON is read by `jsonbody.parse`."""

    def __init__(self, scope: Scope, receive: Receive, body: bytes | bytearray) -> None:
        first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return first.pop() if first else await receive()

        super().__init__(scope, replay)

    async def json(self) -> Any:
        """The body's JSON. Raises JSONDecodeError, which FastAPI makes a validation error of."""
        try:
            return jsonbody.parse(await self.body())
        except (ValueError, jsonbody.Outsized) as error:
            raise json.JSONDecodeError(str(error), "", 0) from None


async def receive(receiver: Receive, headers: Collection[tuple[bytes, bytes]], limit: int) -> bytes | bytearray:
    """The whole body. Raises BodyTooLarge by the announced length already, else before more than `limit` is kept.

    Raises Unreadable for a length that is no number, and when the client leaves before the end; Outsized by
    the beginning of long JSON.
    """
    lengths = {value for name, value in headers if name == LENGTH}
    if len(lengths) > 1 or not all(length.isdigit() for length in lengths):
        raise Unreadable("Its Content-Length is not one number of bytes")
    # int() refuses thousands of digits.
    if any(len(length) > 20 or int(length) > limit for length in lengths):
        raise BodyTooLarge(limit)
    is_json = any(name == b"content-type" and b"json" in value.lower() for name, value in headers)
    body = bytearray()
    while True:
        message = await receiver()
        if message["type"] == "http.disconnect":
            raise Unreadable("It ended before its body was complete")
        piece: bytes = message.get("body", b"")
        if len(body) + len(piece) > limit:
            raise BodyTooLarge(limit)
        if not body and not message.get("more_body"):
            return piece  # whole, as Lambda brings it: no copy
        body += piece
        if is_json and len(body) - len(piece) < jsonbody.BEGINNING <= len(body):
            jsonbody.check_beginning(body)
        if not message.get("more_body"):
            return body
