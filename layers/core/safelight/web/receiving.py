"""Receiving a request's body up to its route's limit, before anything looks at it."""

import json
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope

from safelight.errors import Unreadable
from safelight.web import jsonbody, largebody
from safelight.web.bodies import TEXTS_OF, BodyTooLarge, limit_of

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

    Raises Unreadable for a length that is no number, and when the client leaves before the end. A body of a limit in
    TEXTS_OF that has BEGINNING bytes or more is refused as early as possible: NotJson, Misshapen or Outsized.
    """
    announced = _announced(headers)
    if announced > limit:
        raise BodyTooLarge(limit)
    texts = TEXTS_OF.get(limit)
    if texts and announced >= jsonbody.BEGINNING:
        largebody.require_json(headers)
    body = bytearray()
    while True:
        message = await receiver()
        if message["type"] == "http.disconnect":
            raise Unreadable("It ended before its body was complete")
        piece: bytes = message.get("body", b"")
        if len(body) + len(piece) > limit:
            raise BodyTooLarge(limit)
        ended = not message.get("more_body")
        whole = ended and not body  # as Lambda brings it
        if not whole:
            body += piece
        received = piece if whole else body
        begun = len(received) - len(piece) < jsonbody.BEGINNING <= len(received)
        if texts and (begun or (ended and len(received) > jsonbody.BEGINNING)):
            largebody.require_json(headers)
            largebody.check(received, texts, whole=ended)
        if ended:
            return received


def _announced(headers: Collection[tuple[bytes, bytes]]) -> int:
    """Bytes that the body will have; 0 when it is not said."""
    lengths = {value for name, value in headers if name == LENGTH}
    if len(lengths) > 1 or not all(length.isdigit() for length in lengths):
        raise Unreadable("Its Content-Length is not one number of bytes")
    # int() refuses thousands of digits.
    return max((int(length[:20]) for length in lengths), default=0)
