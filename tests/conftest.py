"""The real parts under every test: one Postgres and one object store a test process, started when first asked for."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from local.objectstore import ObjectStore
from local.postgres import Postgres
from safelight.security import passwords
from tests import api as front
from tests import product

if TYPE_CHECKING:
    from safelight.config import Settings


@pytest.fixture(scope="session", autouse=True)
def password_cost() -> Iterator[int]:
    """bcrypt at its lowest cost, for fixtures of every scope; gives the product's own cost, which a test pins."""
    with pytest.MonkeyPatch.context() as patch:
        own = passwords.COST
        patch.setattr(passwords, "COST", 4)
        yield own


@pytest.fixture(scope="session", autouse=True)
def _vendors_data_read_once() -> Iterator[None]:
    """One copy of botocore's description of S3 for all clients: else each reads, and keeps, 12 MB of its own."""
    from botocore import loaders, session

    read: dict[Any, Any] = {}

    def create_loader(*arguments: Any) -> loaders.Loader:
        made = loaders.create_loader(*arguments)
        made._cache = read  # type: ignore[attr-defined]  # the stubs leave it out
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", create_loader)
        yield


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A running SeaweedFS."""
    store = ObjectStore(tmp_path_factory.mktemp("store"), "TESTKEY", secrets.token_hex(20))
    with store:
        yield store


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running Postgres 18."""
    server = Postgres(tmp_path_factory.mktemp("postgres"), None, secrets.token_hex(16), durable=False)
    with server:
        yield server


@pytest.fixture(scope="session")
def template_database(postgres: Postgres, object_store: ObjectStore) -> str:
    """Name of a database migrated to head; a copy of it costs 50 ms where a migration costs a second."""
    name = "migrated"
    with product.configured(product.environment(postgres.create(name), "none", object_store)):
        product.migrate()
    return name


@pytest.fixture
def bucket_settings(postgres: Postgres, object_store: ObjectStore, template_database: str) -> Iterator[Settings]:
    """The product configured with a migrated database and an empty bucket of this test's own."""
    with product.fresh(postgres, template_database, object_store):
        from safelight.config import settings

        yield settings()


@pytest.fixture(scope="module")
def module_settings(postgres: Postgres, object_store: ObjectStore, template_database: str) -> Iterator[Settings]:
    """As `bucket_settings`, shared by the tests of one module."""
    with product.fresh(postgres, template_database, object_store):
        from safelight.config import settings

        yield settings()


@pytest.fixture(scope="module")
def pooled_settings(module_settings: Settings) -> Iterator[Settings]:
    """As `module_settings`, with a pool of connections for tests that use the database in parallel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_POOL", "8")
        product.forget()
        yield module_settings


@pytest.fixture(scope="session")
def api_server() -> Iterator[front.Server]:
    """The product behind a port."""
    server = front.Server()
    server.start()
    front.running.append(server)
    yield server
    front.running.clear()
    server.stop()


@pytest.fixture
def api(bucket_settings: Settings, api_server: front.Server) -> Iterator[str]:  # noqa: ARG001 - it configures the server
    """The URL of the product over a database and a bucket of this test's own; `tests.api` speaks to it."""
    yield api_server.url
    while front.opened:
        front.opened.pop().close()
    api_server.forget()
