"""How many bytes of request bodies the process holds, and which of them give way."""

from __future__ import annotations

from collections.abc import Hashable

from local.connections import Connections, Watched


class Bodies:
    """The bodies of all requests, from their arrival until the application is done with them.

    Args:
        most: Bytes held at a time. Beyond it, the connection whose body has made no progress for longest is refused.
        connections: Where to find it.
    """

    def __init__(self, most: int, connections: Connections) -> None:
        self._most = most
        self._connections = connections
        self._held = 0
        self._sizes: dict[Hashable, int] = {}

    def take(self, connection: Watched, request: Hashable, size: int) -> bool:
        """Count a piece of a request's body; False where there is no room, even after others gave way."""
        while self._held + size > self._most:
            if not self._connections.free_body(connection):
                return False
        self._held += size
        self._sizes[request] = self._sizes.get(request, 0) + size
        return True

    def has(self, request: Hashable) -> bool:
        """Whether anything of this request's body is held."""
        return request in self._sizes

    def release(self, request: Hashable) -> None:
        """The request's body is held no more."""
        self._held -= self._sizes.pop(request, 0)
