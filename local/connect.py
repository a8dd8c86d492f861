"""The database as the local stack reaches it. Knows no product: the supervisor runs without its layers."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from pg8000.native import Connection


def connect(url: str) -> Connection:
    """A connection to the database of a `postgresql://` URL. Raises OSError or pg8000's InterfaceError."""
    parts = urlsplit(url)
    return Connection(
        unquote(parts.username or ""),
        host=parts.hostname,
        port=parts.port or 5432,
        database=parts.path.lstrip("/"),
        password=unquote(parts.password or ""),
        application_name="local worker",
    )
