"""SQL straight through pg8000, for the visitor's path: importing SQLAlchemy would double its cold start."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from safelight.config import settings
from safelight.db.connect import Target, arguments
from safelight.errors import Unavailable

type Row = Sequence[Any]

_local = threading.local()


def _open() -> Connection:
    try:
        return Connection(**arguments(Target.parse(settings().database_url.get_secret_value())))
    except (InterfaceError, OSError) as error:
        raise Unavailable(retry_after=2) from error


def _alive(connection: Connection) -> bool:
    try:
        connection.run("SELECT 1")
    except (DatabaseError, InterfaceError, OSError):
        return False
    return True


@contextmanager
def connection() -> Iterator[Connection]:
    """This thread's connection inside one transaction: committed at the end, rolled back and dropped on an error.

    Raises Unavailable when Postgres cannot be reached.
    """
    url = settings().database_url.get_secret_value()
    held: Connection | None = getattr(_local, "connection", None)
    if held is None or getattr(_local, "url", None) != url or not _alive(held):
        close()
        held = _open()
        _local.connection, _local.url = held, url
    try:
        held.run("BEGIN")
        yield held
        held.run("COMMIT")
    except Exception:
        close()
        raise


def close() -> None:
    """Drop this thread's connection."""
    held: Connection | None = getattr(_local, "connection", None)
    _local.connection = None
    if held is not None:
        try:
            held.close()
        except (InterfaceError, OSError):
            return  # the other end is gone already
