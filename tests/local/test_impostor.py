"""A program that took the port of a part which is away gets no password, no signature and no request."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

import pg8000.dbapi
import pg8000.native
import pytest
from pg8000.exceptions import InterfaceError

from local.connect import connect as local_connect
from local.postgres import Postgres
from safelight.db import driver, engine
from safelight.db.connect import Target
from safelight.db.connect import connect as product_connect
from safelight.errors import Unavailable
from tests.local.impostor import (
    CLEAR_TEXT,
    MD5,
    OK,
    READY,
    SCRAM,
    impostor,
    message,
    scram_without_password,
)
from tests.local.impostor import (
    postgres as answering,
)

PASSWORD = "the-password-of-the-database"
QUERY = "SELECT 'a secret of the product'"
SIGNED = struct.pack("!i", 12) + b"v=" + b"A" * 43 + b"="

IMPOSTORS: dict[str, Callable[[socket.socket, list[bytes]], None]] = {
    "asks for the password in clear text": answering(CLEAR_TEXT, OK + READY),
    "asks for its MD5": answering(MD5, OK + READY),
    "lets everybody in": answering(OK + READY),
    "is ready without a word about the password": answering(READY),
    "lets everybody in once SCRAM has begun": answering(SCRAM, OK + READY),
    "asks for the password once SCRAM has begun": answering(SCRAM, CLEAR_TEXT, OK + READY),
    "signs before it was asked": answering(message(b"R", SIGNED) + OK + READY),
    "signs without the password": scram_without_password,
    "is no database": answering(b"-ERR unknown command" + bytes(40)),
}


def by_driver(url: str) -> Any:
    return product_connect(driver._Connection, url)


def by_engine(url: str) -> Any:
    return product_connect(engine._Connection, url)


CLIENTS: dict[str, Callable[[str], Any]] = {
    "the visitor's driver": by_driver,
    "the engine's driver": by_engine,
    "the local stack": local_connect,
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("kind", IMPOSTORS)
def test_a_server_that_cannot_prove_itself_gets_nothing(kind: str, client: str) -> None:
    with impostor(IMPOSTORS[kind]) as server:
        url = f"postgresql://safelight:{PASSWORD}@127.0.0.1:{server.port}/safelight?require_auth=scram-sha-256"
        with pytest.raises((Unavailable, InterfaceError, OSError)):
            CLIENTS[client](url).run(QUERY)
        heard = server.bytes
    assert b"user\0safelight" in heard
    assert PASSWORD.encode() not in heard
    assert b"secret of the product" not in heard
    assert b"md5" not in heard


@pytest.mark.parametrize("kind", [pg8000.native.Connection, pg8000.dbapi.Connection])
def test_the_driver_alone_would_give_the_password(kind: Any) -> None:
    """The control: this is what `require_auth` is for."""
    with impostor(answering(CLEAR_TEXT, OK + READY)) as server:
        kind("safelight", host="127.0.0.1", port=server.port, password=PASSWORD).close()
        assert PASSWORD.encode() in server.bytes


def test_the_real_server_proves_itself(postgres: Postgres) -> None:
    assert postgres.url.endswith("?require_auth=scram-sha-256")
    for connect in CLIENTS.values():
        connection = connect(postgres.url)
        assert connection._steps == 4
        connection.close()


def test_only_scram_can_be_required() -> None:
    with pytest.raises(ValueError, match="require_auth can only be scram-sha-256"):
        Target.parse("postgresql://u:p@127.0.0.1:5432/d?require_auth=md5")
    assert Target.parse("postgresql://u:p@127.0.0.1:5432/d").require_auth is None
