"""SQL straight through pg8000, for the visitor's path: importing SQLAlchemy would double its cold start."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pg8000.exceptions import DatabaseError, Error
from pg8000.native import Connection

from safelight.config import database_url, settings
from safelight.db.connect import connect
from safelight.db.failures import Careful, is_lost
from safelight.db.scram import Mutual
from safelight.errors import Unavailable


class _Connection(Mutual, Careful, Connection):  # type: ignore[misc]  # pg8000 ships no annotations
    """A careful native connection, which ends rather than going on out of step."""

    def run(self, *args: Any, **values: Any) -> Any:
        """As the base does. What fails before the server's answer was read leaves that answer to the next query."""
        try:
            return super().run(*args, **values)
        except DatabaseError:
            raise
        except BaseException:
            _close(self)
            raise


# Idle connections, by the URL they lead to; the last one put back is the first one taken, so that the others
# stay idle and can be closed by the server. List operations are atomic, so threads need no lock.
_idle: defaultdict[str, list[Connection]] = defaultdict(list)


@contextmanager
def connection() -> Iterator[Connection]:
    """A connection of one's own inside one transaction: committed at the end, rolled back and closed on an error.

    Raises Unavailable when Postgres cannot be reached or goes away meanwhile.
    """
    url = database_url()
    held = _take(url)
    try:
        yield held
        held.run("COMMIT")
    except Exception as error:
        with suppress(Error, OSError):
            held.run("ROLLBACK")
            _put_back(url, held)
            held = None
        if is_lost(error):
            raise Unavailable(retry_after=2) from error
        raise
    else:
        _put_back(url, held)
        held = None
    finally:
        if held is not None:
            _close(held)


def close() -> None:
    """Close what is idle."""
    for idle in list(_idle.values()):
        while idle:
            _close(idle.pop())


def _take(url: str) -> Connection:
    idle = _idle[url]
    while idle:
        candidate = idle.pop()
        # A function that thaws may hold a connection that died while it was frozen.
        if _began(candidate):
            return candidate
        _close(candidate)
    opened = connect(_Connection, url)
    try:
        opened.run("BEGIN")
    except (Error, OSError) as error:
        _close(opened)
        raise Unavailable(retry_after=2) from error
    return opened


def _began(candidate: Connection) -> bool:
    try:
        candidate.run("BEGIN")
    except (Error, OSError):
        return False
    return True


def _put_back(url: str, held: Connection) -> None:
    idle = _idle[url]
    if len(idle) < settings().database_pool:
        idle.append(held)
    else:
        _close(held)


def _close(held: Connection) -> None:
    with suppress(Error, OSError):
        held.close()
