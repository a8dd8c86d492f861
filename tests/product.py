"""Point the product at a database and a bucket of its own, and back, within one process."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from local.bucket import REGION
from local.objectstore import ObjectStore
from local.postgres import Postgres
from local.runtime import as_role
from local.template import Function, Template
from safelight.config import connected_to, with_credentials
from safelight.roles.privileges import DATA, SHARES

ROOT = Path(__file__).resolve().parent.parent
JWT_SECRET = "a-fixed-secret-for-tests-which-is-long-enough"
BASE_URL = "http://127.0.0.1:8000"
OWNER_URL = "TESTS_OWNER_DATABASE_URL"
ROLE_PASSWORDS = {role: f"{role}-of-tests" for role in SHARES}


def environment(database_url: str, bucket: str, store: ObjectStore) -> dict[str, str]:
    """Every variable that the product reads, as the local supervisor would set them."""
    return {
        "STAGE": "local",
        "BASE_URL": BASE_URL,
        "DATABASE_URL": database_url,
        "DATABASE_PASSWORDS": json.dumps(ROLE_PASSWORDS),
        "JWT_SECRET": JWT_SECRET,
        "REGISTRATION": "open",  # also where a test sets another BASE_URL
        "REGISTRATIONS_PER_HOUR": "100000",  # all of a test's photographers live at one address
        "BUCKET": bucket,
        "S3_ENDPOINT": store.endpoint,
        "S3_SOCKET": str(store.socket),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": store.access_key,
        "AWS_SECRET_ACCESS_KEY": store.secret_key,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def forget() -> None:
    """Close what the product keeps open for its settings and empty its caches."""
    front = sys.modules.get("tests.api")
    for server in front.running if front else []:
        # Its engine's connections belong to the server's event loop: forgotten first, nobody could close them.
        server.forget()
    for name, module in list(sys.modules.items()):
        if not name.startswith("safelight"):
            continue
        if name == "safelight.db.engine":
            module.reset()
        elif name == "safelight.db.driver":
            module.close()
        for value in list(vars(module).values()):
            if isinstance(value, functools._lru_cache_wrapper) and value.__module__ == name:
                value.cache_clear()


@contextlib.contextmanager
def configured(variables: Mapping[str, str]) -> Iterator[None]:
    """Run with these variables and no other AWS setting of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [
            name for name in os.environ if name.startswith("AWS_") or name in ("S3_PUBLIC_ENDPOINT", "S3_SOCKET")
        ]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        forget()
        try:
            yield
        finally:
            forget()


def migrate() -> None:
    """Bring the configured database to the newest revision, and make its roles."""
    from alembic import command
    from alembic.config import Config

    from safelight.roles.configured import install_configured

    command.upgrade(Config(ROOT / "alembic.ini"), "head")
    install_configured()


@functools.cache
def _functions() -> dict[str, Function]:
    return {function.directory.name: function for function in Template(ROOT / "template.yaml").functions().values()}


def as_owner() -> contextlib.AbstractContextManager[None]:
    """Connect to the configured database as the owner of its tables."""
    return connected_to(os.environ[OWNER_URL])


def running(folder: str) -> contextlib.AbstractContextManager[None]:
    """Connect to the database as the role of the function in functions/<folder>, as the local stack does."""
    return as_owner() if folder == "migrate" else as_role(_functions()[folder])


@contextlib.contextmanager
def fresh(postgres: Postgres, template: str, store: ObjectStore) -> Iterator[dict[str, str]]:
    """A migrated database and an empty bucket for one user, configured; both are removed afterwards.

    What a test calls outside of a function runs as the role of most functions; `as_owner` is for what no function may.
    """
    name = f"test-{secrets.token_hex(6)}"
    url = postgres.create(name, template=template)
    store.create_bucket(name)
    variables = environment(with_credentials(url, DATA, ROLE_PASSWORDS[DATA]), name, store) | {OWNER_URL: url}
    try:
        with configured(variables):
            yield variables
    finally:
        postgres.drop(name)
        store.remove_bucket(name)
