"""The fetcher against a real store with real signatures, where If-Match and ranges are the store's own."""

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import pytest

from local.objectstore import ObjectStore
from safelight.archives.plan import Entry, plan
from safelight.archives.stream import ArchiveBroken
from safelight.storage import storage
from tests import product
from tests.core.archives import readers
from tests.core.archives.streaming import stream


@dataclass
class Album:
    """Photos that lie in the bucket."""

    entries: list[Entry]
    contents: dict[str, bytes]


@pytest.fixture
def album(object_store: ObjectStore) -> Iterator[Album]:
    bucket = f"archives-{os.urandom(4).hex()}"
    object_store.create_bucket(bucket)
    with product.configured(product.environment("postgresql://nobody:none@127.0.0.1:1/none", bucket, object_store)):
        contents = {f"originals/g/{number} é+%.jpg": os.urandom(1_500_000) for number in range(12)}
        entries = []
        for key, data in contents.items():
            storage().write(key, data, "image/jpeg")
            info = storage().head(key)
            assert info is not None
            entry = readers.photo(key.rpartition("/")[2], data)
            entries.append(entry._replace(key=key, etag=info.etag))
        yield Album(entries, contents)
    object_store.remove_bucket(bucket)


def test_an_archive_of_real_objects(album: Album) -> None:
    received = stream(album.entries)
    assert received == readers.assembled(plan(album.entries), album.contents)
    with zipfile.ZipFile(BytesIO(received)) as archive:
        assert archive.testzip() is None
    assert stream(album.entries, 1_234_567, 9_876_543) == received[1_234_567:9_876_543]


def test_a_replaced_object_is_noticed(album: Album) -> None:
    victim = album.entries[7]
    storage().write(victim.key, os.urandom(victim.size), "image/jpeg")
    with pytest.raises(ArchiveBroken) as raised:
        stream(album.entries)
    assert (raised.value.entry, raised.value.reason) == (victim, "object_changed")


def test_a_deleted_object_is_noticed(album: Album) -> None:
    victim = album.entries[7]
    storage().delete([victim.key])
    with pytest.raises(ArchiveBroken) as raised:
        stream(album.entries)
    assert (raised.value.entry, raised.value.reason) == (victim, "object_missing")


def test_a_shorter_object_is_noticed_without_an_etag(album: Album) -> None:
    victim = album.entries[7]
    storage().write(victim.key, album.contents[victim.key][:-1], "image/jpeg")
    with pytest.raises(ArchiveBroken) as raised:
        stream([entry._replace(etag="") for entry in album.entries])
    assert (raised.value.entry.key, raised.value.reason) == (victim.key, "object_truncated")
