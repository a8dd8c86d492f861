"""What attackers need: every route with a body, and bytes that no client would send."""

from __future__ import annotations

import json
import re
import socket
import uuid
from urllib.parse import urlsplit

from safelight.web.docs import openapi
from safelight.web.policy import ROUTES as POLICY
from tests.api import client
from tests.functions.access import World, promote

DOCUMENT = json.loads(openapi())
"""The API's own description."""

JSON_ROUTES = sorted(
    f"{method.upper()} {path}"
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if "application/json" in operation.get("requestBody", {}).get("content", {})
)
"""Those that take JSON."""


def administered() -> World:
    """An administrator with one of everything; what she has none of has an id that nobody has."""
    made = World.made()
    promote(made.anna)
    for name in re.findall(r"{(\w+)}", " ".join(POLICY)):
        made.things.setdefault(name, str(uuid.uuid4()))
    return made


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
