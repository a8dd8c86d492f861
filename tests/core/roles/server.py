"""A Postgres of these tests' own: roles belong to a server, and its other users must not notice what happens here."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from pg8000.exceptions import DatabaseError

from local.connect import connect
from local.postgres import Postgres
from safelight.config import with_credentials
from safelight.roles.install import install
from tests import product

INSUFFICIENT_PRIVILEGE = "42501"
OWNER_PASSWORD = "owner-of-these-tests"


def settings_of(url: str) -> dict[str, str]:
    """The variables of a function that uses nothing but this database; without passwords of roles."""
    return {
        "DATABASE_URL": url,
        "DATABASE_PASSWORDS": "",
        "BUCKET": "none",
        "BASE_URL": product.BASE_URL,
        "STAGE": "local",
    }


@contextlib.contextmanager
def session(url: str) -> Iterator[Any]:
    """A connection in autocommit mode."""
    connection = connect(url)
    try:
        yield connection
    finally:
        connection.close()


def install_as(url: str, passwords: dict[str, str]) -> None:
    """Install the roles as the user of `url`, in one transaction as the migration does."""
    with session(url) as connection:
        connection.run("BEGIN")
        install(connection.run, passwords)
        connection.run("COMMIT")


def database_of_an_ordinary_owner(server: Postgres, attributes: str) -> str:
    """The URL of an empty database whose owner is an ordinary user with these attributes, as managed servers have."""
    name = f"owner_{secrets.token_hex(4)}"
    with server.connection("postgres") as connection:
        connection.run(f"CREATE ROLE {name} LOGIN {attributes} PASSWORD '{OWNER_PASSWORD}'")
        connection.run(f"CREATE DATABASE {name} OWNER {name}")
    return with_credentials(server.url_of(name), name, OWNER_PASSWORD)


def refused(connection: Any, statement: str) -> None:
    """Assert that Postgres refuses the statement for want of a privilege, and for nothing else."""
    with pytest.raises(DatabaseError) as error:
        connection.run(statement)
    assert error.value.args[0]["C"] == INSUFFICIENT_PRIVILEGE, (statement, error.value.args[0])
