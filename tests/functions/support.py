"""What the tests of the functions share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bcrypt
import httpx2 as httpx
import pytest
from sqlalchemy import Engine, event, text

from safelight.db.engine import transaction
from tests import product


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that this is a well-formed problem with this status and code; its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert {"type", "status", "code", "title", "detail"} <= body.keys()
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]
    return body


def sql(statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Run one statement in a transaction of its own, as the owner of the tables; its rows."""
    with product.as_owner(), transaction() as session:
        result = session.execute(text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []  # type: ignore[attr-defined]  # on CursorResult


def somebody_waits() -> bool:
    """Whether a connection waits for what another has locked."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(sql(waiting)[0][0])


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL that SQLAlchemy sends meanwhile."""
    sent: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def in_parallel[T](count: int, action: Callable[[int], T], threads: int = 32) -> list[T]:
    """`action(0)`, `action(1)` … from many threads; their results in order.

    More than 40 at once only where requests use the driver's connections: those that wait for the ORM's would take all
    threads of the one server, while Lambda and the local gateway give each request its own.
    """
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(action, range(count)))


def same(one: httpx.Response, other: httpx.Response) -> bool:
    """Whether two answers are the same to the last byte but for the request's id and the time."""

    def comparable(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = [(name, value) for name, value in answer.headers.items() if name not in ("x-request-id", "date")]
        return answer.status_code, sorted(headers), answer.content

    return comparable(one) == comparable(other)


def passwords_compared(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that are compared with a hash from now on."""
    compared: list[bytes] = []
    checkpw = bcrypt.checkpw

    def noted(password: bytes, hashed: bytes) -> bool:
        compared.append(password)
        return checkpw(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", noted)
    return compared
