"""What attackers need: every route with a body, and bytes that no client would send."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

from safelight.web.docs import openapi
from tests.api import client

DOCUMENT = json.loads(openapi())
"""The API's own description."""

JSON_ROUTES = sorted(
    f"{method.upper()} {path}"
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if "application/json" in operation.get("requestBody", {}).get("content", {})
)
"""Those that take JSON."""


def raw(text: bytes) -> bytes:
    """What the server says to these bytes."""
    where = urlsplit(str(client().base_url))
    with socket.create_connection((where.hostname or "", where.port or 0), 10) as line:
        line.sendall(text)
        line.shutdown(socket.SHUT_WR)
        said = b""
        while piece := line.recv(65536):
            said += piece
    return said
