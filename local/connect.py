"""The database as the local stack reaches it. Knows no product: the supervisor runs without its layers."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pg8000 import native
from pg8000.exceptions import InterfaceError
from scramp import ScramException

REQUIRE_SCRAM = "require_auth=scram-sha-256"
"""libpq's parameter of a URL: the server must prove that it knows the password."""

# SASL, SASLContinue, SASLFinal (which holds the server's signature), Ok: PostgreSQL documentation, 54.2.1 and 54.7.
_STEPS = (10, 11, 12, 0)


def connect(url: str) -> native.Connection:
    """A connection to the database of a `postgresql://` URL. Raises OSError or pg8000's InterfaceError."""
    parts = urlsplit(url)
    required = parse_qs(parts.query).get("require_auth") == ["scram-sha-256"]
    kind = _ScramConnection if required else native.Connection
    try:
        return kind(
            unquote(parts.username or ""),
            host=parts.hostname,
            port=parts.port or 5432,
            database=parts.path.lstrip("/"),
            password=unquote(parts.password or ""),
            application_name="local worker",
        )
    except (ScramException, LookupError, ValueError) as error:  # what a server that is not ours provokes in the driver
        raise InterfaceError(f"the server on the database's port is not the database: {error!r}") from error


class _ScramConnection(native.Connection):  # type: ignore[misc]  # pg8000 ships no annotations
    """Takes exactly the steps of SCRAM, which the driver checks, and gives nothing to a server that does not."""

    _steps = 0

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: Any) -> None:  # noqa: N802 - pg8000's name for it
        if int.from_bytes(data[:4]) not in _STEPS[self._steps : self._steps + 1]:
            raise InterfaceError("the server on the database's port does not authenticate by SCRAM")
        super().handle_AUTHENTICATION_REQUEST(data, context)
        self._steps += 1

    def handle_READY_FOR_QUERY(self, data: bytes, context: Any) -> None:  # noqa: N802 - the same
        if self._steps != len(_STEPS):
            raise InterfaceError("the server on the database's port did not authenticate itself")
        super().handle_READY_FOR_QUERY(data, context)
