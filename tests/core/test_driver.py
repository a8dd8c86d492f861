"""Connections of the visitor's path, on a real Postgres."""

from __future__ import annotations

from typing import Any

import pytest

from local.postgres import Postgres
from safelight.db import driver
from safelight.db.connect import connect
from safelight.errors import Unavailable

pytestmark = pytest.mark.usefixtures("bucket_settings")


def test_a_new_connection_that_ends_before_its_transaction_is_closed(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []

    def connect_and_lose(kind: Any, url: str) -> Any:
        opened.append(connect(kind, url))
        [[backend]] = opened[0].run("SELECT pg_backend_pid()")
        with postgres.connection() as administration:
            assert administration.run("SELECT pg_terminate_backend(:pid, 10000)", pid=backend) == [[True]]
        return opened[0]

    driver.close()
    monkeypatch.setattr(driver, "connect", connect_and_lose)
    with pytest.raises(Unavailable), driver.connection():
        pass
    assert opened[0]._usock is None  # closed
