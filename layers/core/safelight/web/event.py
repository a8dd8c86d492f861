"""A request of API Gateway as an ASGI scope."""

from typing import Any

from mangum.handlers.api_gateway import APIGateway

from safelight.web.bodies import limit_of
from safelight.web.receiving import LENGTH
from safelight.web.wellformed import SINGLE

_APART = {name.decode() for name in SINGLE} | {"cookie", "x-forwarded-port"}


class RestRequest(APIGateway):
    """Mangum's reading of a REST API's event, except for headers that would be damaged by it.

    Mangum joins repeated headers by commas, which hides that `Authorization` came twice and breaks cookies. It takes
    the port out of `Host` and `X-Forwarded-Port`, and raises ValueError for `[::1]:8000` and for malformed values.

    A body over the limit of its route stays encoded. Its length is announced, so that `receiving.receive` refuses it.
    """

    @property
    def body(self) -> bytes:
        """The body, decoded; nothing in place of one that is too large. Read it once: the event gives up its text."""
        decoded = b"" if self._is_too_large else super().body
        self.event["body"] = None  # a third more than the body, and kept as long as the request
        return decoded

    @property
    def scope(self) -> Any:
        """The scope, with each of these headers as it was sent."""
        headers: dict[str, str] = self.event.get("headers") or {}
        repeated: dict[str, list[str]] = self.event.get("multiValueHeaders") or {}
        repeated = repeated or {name: [value] for name, value in headers.items()}
        rest = {name: values for name, values in repeated.items() if name.lower() not in _APART}
        scope = APIGateway({**self.event, "headers": {}, "multiValueHeaders": rest}, self.context, self.config).scope
        for name, values in repeated.items():
            if name.lower() in _APART:
                scope["headers"] += [[name.lower().encode(), value.encode()] for value in values]
        if self._is_too_large:
            others = [pair for pair in scope["headers"] if pair[0] != LENGTH]
            scope["headers"] = [*others, [LENGTH, str(self._size).encode()]]
        scope["aws.event"] = self.event
        return scope

    @property
    def _is_too_large(self) -> bool:
        return self._size > limit_of(self.event["httpMethod"], self.event["resource"])

    @property
    def _size(self) -> int:
        body = self.event.get("body") or ""
        if self.event.get("isBase64Encoded"):
            return len(body) * 3 // 4 - body[-2:].count("=")
        return len(body.encode())
