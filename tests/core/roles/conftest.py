"""One server for all tests of the roles."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from local.postgres import Postgres
from tests import product
from tests.core.roles.server import install_as, settings_of


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A Postgres without roles of ours."""
    made = Postgres(tmp_path_factory.mktemp("roles"), None, secrets.token_hex(16), durable=False)
    with made:
        yield made


@pytest.fixture(scope="package")
def migrated(server: Postgres) -> str:
    """Name of a migrated database without grants, to be copied."""
    with product.configured(settings_of(server.create("migrated"))):
        product.migrate()
    return "migrated"


@pytest.fixture
def url(server: Postgres, migrated: str) -> Iterator[str]:
    """The owner's URL of a migrated database with all roles."""
    name = f"roles_{secrets.token_hex(4)}"
    made = server.create(name, template=migrated)
    install_as(made, product.ROLE_PASSWORDS)
    yield made
    server.drop(name)
