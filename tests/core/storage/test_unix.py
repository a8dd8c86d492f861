"""With S3_SOCKET the server's own requests go to the socket, and what holds the endpoint's port gets nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from zlib import crc32

import httpx
import pytest

from local.objectstore import ObjectStore
from safelight import storage
from safelight.archives.plan import Entry
from safelight.archives.stream import ArchiveBroken
from safelight.config import Settings
from safelight.errors import StorageUnavailable
from tests import product
from tests.core.archives.streaming import stream
from tests.local.impostor import Impostor, impostor, listen_only

PART = bytes(5 * 1024 * 1024)


@pytest.fixture
def port() -> Iterator[Impostor]:
    """A stranger on the port of the endpoint."""
    with impostor(listen_only) as made:
        yield made


@pytest.fixture
def variables(object_store: ObjectStore, storage_bucket: str, port: Impostor) -> dict[str, str]:
    """The store behind its socket; its endpoint is the stranger's."""
    found = product.environment("postgresql://localhost/unused", storage_bucket, object_store)
    assert found["S3_SOCKET"] == str(object_store.socket)
    return {**found, "S3_ENDPOINT": f"http://127.0.0.1:{port.port}"}


def test_every_client_of_the_product_uses_the_socket(variables: dict[str, str], port: Impostor) -> None:
    with product.configured(variables):
        data = b"picture" * 1000
        info = storage.storage().write("unix/a", data, "image/jpeg")
        assert storage.light_store().write("unix/b", data, "image/jpeg").etag == info.etag
        assert storage.light_store().head("unix/a") == storage.storage().head("unix/a")
        assert storage.storage().read("unix/b")[0] == data
        upload = storage.multipart().begin("unix/c", "application/zip")

        async def pieces() -> AsyncIterator[bytes]:
            yield PART

        etag = asyncio.run(storage.sender().put("unix/c", upload, 1, len(PART), pieces()))
        storage.multipart().complete("unix/c", upload, [(1, etag)])
        assert storage.storage().read("unix/c")[0] == PART
        assert sorted(storage.storage().keys("unix/")) == ["unix/a", "unix/b", "unix/c"]
        assert data in stream([Entry("a.jpg", len(data), crc32(data), 1_700_000_000, "unix/a", info.etag)])
        storage.storage().delete(["unix/a", "unix/b", "unix/c"])
    assert port.received == []


def test_a_browsers_addresses_lead_to_the_endpoint(variables: dict[str, str], object_store: ObjectStore) -> None:
    with product.configured(variables):
        assert storage.signer().url("GET", "unix/a", 60).startswith(variables["S3_ENDPOINT"])
    with product.configured({**variables, "S3_ENDPOINT": object_store.endpoint}):
        storage.storage().write("unix/a", b"1", "text/plain")
        assert httpx.get(storage.signer().url("GET", "unix/a", 60)).content == b"1"


def test_a_socket_that_is_gone_is_a_store_that_is_away(
    variables: dict[str, str], port: Impostor, tmp_path: Path
) -> None:
    with product.configured({**variables, "S3_SOCKET": str(tmp_path / "gone.sock")}):
        for call in (
            lambda: storage.storage().head("unix/a"),
            lambda: storage.light_store().head("unix/a"),
            lambda: stream([Entry("a.jpg", 1, 0, 1_700_000_000, "unix/a", '"x"')]),
        ):
            with pytest.raises((StorageUnavailable, ArchiveBroken)):
                call()
    assert port.received == []


@pytest.mark.parametrize("endpoint", [None, "https://store.example"])
def test_a_socket_without_a_plain_endpoint_is_refused(endpoint: str | None) -> None:
    given = {"DATABASE_URL": "postgresql://localhost/x", "BUCKET": "b", "JWT_SECRET": "s", "S3_SOCKET": "/run/s3.sock"}
    with pytest.raises(ValueError, match="S3_SOCKET needs an S3_ENDPOINT"):
        Settings.from_environment(given | ({"S3_ENDPOINT": endpoint} if endpoint else {}))
