"""SQLAlchemy over pg8000: one connection a process and URL, checked when a frozen process thaws."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pg8000.dbapi
from pg8000.exceptions import DatabaseError
from sqlalchemy import Engine, ExceptionContext, create_engine, event, text
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError

from safelight.config import database_url, settings
from safelight.db.connect import connect
from safelight.db.failures import Careful, is_lost
from safelight.db.scram import Mutual
from safelight.errors import NotFound, Unavailable


class _Connection(Mutual, Careful, pg8000.dbapi.Connection):  # type: ignore[misc]  # pg8000 ships no annotations
    """A careful DB-API connection."""


_engines: dict[str, Engine] = {}


def engine() -> Engine:
    """The engine of the current function's database URL; a process keeps one for each URL."""
    url = database_url()
    found = _engines.get(url)
    # Two threads may both make one; an engine that is dropped here has opened no connection yet.
    return found or _engines.setdefault(url, make_engine(url, pool_size=settings().database_pool))


def make_engine(url: str, *, pool_size: int) -> Engine:
    """An engine for `url` that keeps at most `pool_size` connections and waits for one rather than opening more."""
    engine = create_engine(
        "postgresql+pg8000://",
        creator=lambda: connect(_Connection, url),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=10,
        hide_parameters=True,
    )
    event.listen(engine, "handle_error", _translate)
    return engine


def _translate(context: ExceptionContext) -> None:
    error = context.original_exception
    lost = is_lost(error)
    # The dialect knows a broken socket; it knows neither a server that said goodbye before it closed, nor a value that
    # could not be encoded half-way through a query, whose answer would then be taken for that of the next one.
    if lost or not isinstance(error, DatabaseError):
        context.is_disconnect = True
    # A ping that fails is no failure yet: the pool connects anew.
    if lost and not context.is_pre_ping:
        raise Unavailable(retry_after=2) from error


@contextmanager
def transaction() -> Iterator[Session]:
    """A session that commits when the block ends well and rolls back when it raises.

    An error that says `keeps_changes` is an answer, not a failure: what was written before it stays (a reused refresh
    token revokes its family and is refused in the same breath). Raises Unavailable when Postgres cannot be reached,
    goes away, or has no connection free, and NotFound when a row that the block changes has been erased.
    """
    with Session(engine(), expire_on_commit=False) as session:
        try:
            yield session
            session.commit()
        except NoConnectionFree as error:
            raise Unavailable(retry_after=2) from error
        except (StaleDataError, ObjectDeletedError) as error:
            session.rollback()
            raise NotFound from error
        except Exception as error:
            if not getattr(error, "keeps_changes", False):
                session.rollback()
                raise
            session.commit()
            raise


def runner(session: Session) -> Callable[..., Any]:
    """Runs SQL with `:named` parameters in the session's transaction, as the driver's connections do."""
    return lambda sql, **values: session.execute(text(sql), values)


def after_commit(session: Session, action: Callable[[], None]) -> None:
    """Run `action` once the session's transaction is committed; never when it is rolled back."""

    def run(_: Session) -> None:
        action()

    event.listen(session, "after_commit", run, once=True)


def reset() -> None:
    """Close the engines and forget them: for tests that change the settings."""
    while _engines:
        _engines.popitem()[1].dispose()
