"""Ask a starting object store whether it can serve, on ways that only its owner has."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from http import HTTPStatus
from pathlib import Path

_SECONDS = 5.0


def knows_volumes(master: int, tls: ssl.SSLContext, count: int) -> bool:
    """Whether the master at that port has heard of a volume server and of at least `count` volumes."""
    try:
        status, answer = _get(
            http.client.HTTPSConnection("127.0.0.1", master, timeout=_SECONDS, context=tls), "/dir/status"
        )
    except (OSError, http.client.HTTPException):
        return False
    if status != HTTPStatus.OK:
        return False
    nodes = [
        node
        for centre in json.loads(answer)["Topology"].get("DataCenters") or []
        for rack in centre.get("Racks") or []
        for node in rack.get("DataNodes") or []
    ]
    return bool(nodes) and sum(node.get("Volumes", 0) for node in nodes) >= count


def answers(path: Path) -> bool:
    """Whether an HTTP server answers at that Unix socket."""
    try:
        _get(_UnixConnection(path), "/")
    except (OSError, http.client.HTTPException):
        return False
    return True


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
