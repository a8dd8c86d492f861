"""One bucket of the real store for this room's tests, and everything that speaks to it."""

import secrets
from collections.abc import Iterator

import pytest

from local.bucket import REGION
from local.objectstore import ObjectStore
from safelight.storage.client import make_client
from safelight.storage.light import LightStore
from safelight.storage.signer import Credentials, Signer
from safelight.storage.store import Storage


@pytest.fixture(scope="session")
def storage_bucket(object_store: ObjectStore) -> Iterator[str]:
    name = object_store.create_bucket(f"storage-{secrets.token_hex(6)}")
    yield name
    object_store.remove_bucket(name)


@pytest.fixture(scope="session")
def credentials(object_store: ObjectStore) -> Credentials:
    return Credentials(object_store.access_key, object_store.secret_key)


@pytest.fixture(scope="session")
def signer(object_store: ObjectStore, credentials: Credentials, storage_bucket: str) -> Signer:
    return Signer(credentials, REGION, storage_bucket, object_store.endpoint)


@pytest.fixture(scope="session")
def store(object_store: ObjectStore, credentials: Credentials, storage_bucket: str) -> Storage:
    return Storage(storage_bucket, make_client(REGION, object_store.endpoint, credentials))


@pytest.fixture(scope="session")
def light(signer: Signer) -> Iterator[LightStore]:
    store = LightStore(signer)
    yield store
    store.close()


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return f"incoming/{secrets.token_hex(16)}"
