"""What callers may rely on, of every store: the real one, the fake one (moto), and the client without botocore.

moto is laxer than S3: it ignores CopySourceIfMatch and checks no signature. Those are asked of the real store alone.
"""

import secrets
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Protocol

import httpx
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local.bucket import REGION
from local.objectstore import ObjectStore
from safelight.errors import ObjectChanged, ObjectMissing
from safelight.storage.client import make_client
from safelight.storage.light import LightStore, Refused
from safelight.storage.objects import ObjectInfo
from safelight.storage.signer import Credentials, Signer, crc32_field
from safelight.storage.store import Storage

KEYS = [
    "incoming/0b54b9c2-5bd4-4f2c-8c1f-9c3b2f0f2c11",
    "renditions/g/p/thumb.jpg",
    "with space/and+plus 100%25.jpg",
    "!*'();:@&=$,[]~.jpg",
    "Фото/снимок № 5.jpg",
    "写真/📷.jpg",
]


class Store(Protocol):
    """What `Storage` and `LightStore` share."""

    def head(self, key: str) -> ObjectInfo | None: ...
    def write(self, key: str, data: bytes, content_type: str) -> ObjectInfo: ...


@pytest.fixture(scope="session")
def fake() -> Iterator[Storage]:
    credentials = Credentials("testing", "testing")
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        client = make_client(REGION, None, credentials)
        client.create_bucket(Bucket="fake")
        yield Storage("fake", client)


@pytest.fixture(params=["real", "fake", "light"])
def either(request: pytest.FixtureRequest) -> Store:
    """Every implementation of the common part."""
    name = "store" if request.param == "real" else request.param
    chosen: Store = request.getfixturevalue(name)
    return chosen


@pytest.fixture(params=["real", "fake"])
def whole(request: pytest.FixtureRequest) -> Storage:
    """Every implementation of the whole."""
    chosen: Storage = request.getfixturevalue("store" if request.param == "real" else "fake")
    return chosen


def test_a_missing_object_has_no_facts(either: Store, key: str) -> None:
    assert either.head(key) is None


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("data", [b"", b"\x00\xff" * 5000], ids=["empty", "bytes"])
def test_what_is_written_has_these_facts(either: Store, name: str, data: bytes) -> None:
    written = either.write(name, data, "image/jpeg")
    info = either.head(name)
    assert info is not None
    assert (info.key, info.size, info.content_type) == (name, len(data), "image/jpeg")
    assert info.etag == written.etag
    assert info.etag.startswith('"')
    assert info.etag.endswith('"')
    for moment in (info.last_modified, written.last_modified):
        assert moment.utcoffset() == timedelta(0)
        assert abs(moment - datetime.now(UTC)) < timedelta(seconds=30)


def test_a_second_write_replaces_the_first(either: Store, key: str) -> None:
    first = either.write(key, b"first", "image/jpeg")
    second = either.write(key, b"the second", "image/png")
    info = either.head(key)
    assert info is not None
    assert (info.size, info.content_type, info.etag) == (10, "image/png", second.etag)
    assert first.etag != second.etag


def test_a_prefix_is_not_an_object(either: Store, key: str) -> None:
    either.write(f"{key}/inside", b"x", "image/jpeg")
    assert either.head(key) is None


@pytest.mark.parametrize("name", KEYS)
def test_what_was_written_is_read(whole: Storage, name: str) -> None:
    data = secrets.token_bytes(300_000)
    written = whole.write(name, data, "image/jpeg")
    read, info = whole.read(name, if_match=written.etag)
    assert read == data
    assert info == whole.head(name)


def test_the_light_store_and_the_whole_one_see_the_same(store: Storage, light: LightStore, key: str) -> None:
    light.write(key, b"wake up", "application/json")
    data, info = store.read(key)
    assert (data, info) == (b"wake up", light.head(key))


@pytest.mark.parametrize("limit", [0, 1, 9_999, 10_000, 10_001, 500_000])
def test_a_limit_cuts_the_bytes_and_not_the_size(whole: Storage, key: str, limit: int) -> None:
    data = secrets.token_bytes(10_000)
    whole.write(key, data, "image/jpeg")
    read, info = whole.read(key, limit=limit)
    assert read == data[:limit]
    assert info.size == 10_000


def test_reading_nothing_of_an_empty_object(whole: Storage, key: str) -> None:
    whole.write(key, b"", "image/jpeg")
    assert whole.read(key, limit=10)[0] == b""


def test_reading_what_is_missing_or_changed(whole: Storage, key: str) -> None:
    with pytest.raises(ObjectMissing) as missing:
        whole.read(key)
    assert missing.value.key == key
    first = whole.write(key, b"first", "image/jpeg")
    whole.write(key, b"second", "image/jpeg")
    with pytest.raises(ObjectChanged) as changed:
        whole.read(key, if_match=first.etag)
    assert changed.value.key == key


def test_a_copy_has_the_bytes_and_only_the_given_type(whole: Storage, key: str) -> None:
    # A form could not sign these headers in, but a store may let them through: a copy must not carry them on.
    whole._client.put_object(
        Bucket=whole.bucket,
        Key=key,
        Body=b"picture",
        ContentType="text/html",
        ContentEncoding="gzip",
        Metadata={"a": "b"},
    )
    source = whole.head(key)
    assert source is not None
    target = f"originals/{key}"
    info = whole.copy(key, target, if_match=source.etag, content_type="image/jpeg")
    assert info == whole.head(target)
    assert (info.key, info.size, info.content_type, info.etag) == (target, 7, "image/jpeg", source.etag)
    assert whole.read(target)[0] == b"picture"
    answer = whole._client.head_object(Bucket=whole.bucket, Key=target)
    assert not answer.get("ContentEncoding")
    assert not answer["Metadata"]


def test_copying_what_is_missing(whole: Storage, key: str) -> None:
    with pytest.raises(ObjectMissing) as missing:
        whole.copy(key, key + "-copy", if_match='"e"', content_type="image/jpeg")
    assert missing.value.key == key


def test_copying_what_has_changed(store: Storage, key: str) -> None:
    first = store.write(key, b"first", "image/jpeg")
    store.write(key, b"second", "image/jpeg")
    with pytest.raises(ObjectChanged) as changed:
        store.copy(key, key + "-copy", if_match=first.etag, content_type="image/jpeg")
    assert changed.value.key == key
    assert store.head(key + "-copy") is None


def test_deleting_many_leaves_the_rest(whole: Storage, key: str) -> None:
    names = [f"{key}/{number}" for number in range(1_002)]
    kept = f"{key}-kept"
    for name in (names[0], names[500], names[-1], kept):
        whole.write(name, b"x", "image/jpeg")
    whole.delete(iter(names))  # most were never there, which is no error
    assert list(whole.keys(key)) == [kept]
    whole.delete([])


def test_keys_come_by_prefix_in_order(whole: Storage, key: str) -> None:
    names = sorted(f"{key}/{number:02}" for number in range(5))
    for name in reversed(names):
        whole.write(name, b"x", "image/jpeg")
    whole.write(f"{key}x/other", b"x", "image/jpeg")
    assert list(whole.keys(f"{key}/")) == names
    assert list(islice(whole.keys(f"{key}/"), 2)) == names[:2]
    assert list(whole.keys(f"{key}/nothing")) == []


def test_keys_go_on_over_pages(whole: Storage, key: str) -> None:
    names = [f"{key}/{number}" for number in range(5)]
    for name in names:
        whole.write(name, b"x", "image/jpeg")
    pages: list[int] = []

    def two_a_page(params: dict[str, object], **_: object) -> None:
        params["MaxKeys"] = 2
        pages.append(1)

    event = "before-parameter-build.s3.ListObjectsV2"
    whole._client.meta.events.register(event, two_a_page)
    try:
        assert list(whole.keys(key)) == names
    finally:
        whole._client.meta.events.unregister(event, two_a_page)
    assert len(pages) == 3


def test_a_missing_bucket_is_not_a_missing_object(whole: Storage) -> None:
    nowhere = Storage("there-is-no-such-bucket", whole._client)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        nowhere.read("k")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        list(nowhere.keys(""))


def test_refusals_pass_through(object_store: ObjectStore, credentials: Credentials, storage_bucket: str) -> None:
    wrong = Credentials(credentials.access_key, "guessed")
    store = Storage(storage_bucket, make_client(REGION, object_store.endpoint, wrong))
    with pytest.raises(ClientError, match="403"):
        store.head("k")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        store.write("k", b"", "image/jpeg")
    light = LightStore(Signer(wrong, REGION, storage_bucket, object_store.endpoint))
    with pytest.raises(Refused, match="HEAD k: 403") as refused:
        light.head("k")
    assert refused.value.status == 403
    with pytest.raises(Refused, match="PUT k: 403"):
        light.write("k", b"", "image/jpeg")
    light.close()


def test_bytes_changed_on_the_way_are_refused(signer: Signer, store: Storage, key: str) -> None:
    extra = {"x-amz-checksum-crc32": crc32_field(zlib.crc32(b"sent"))}
    url = signer.address.origin + signer.address.path(key)
    answer = httpx.put(url, content=b"came", headers=signer.headers("PUT", key, extra=extra))
    assert answer.status_code == 400
    assert store.head(key) is None
    assert httpx.put(url, content=b"sent", headers=signer.headers("PUT", key, extra=extra)).status_code == 200


@pytest.mark.parametrize("writer", ["store", "light"])
def test_writing_states_the_checksum(request: pytest.FixtureRequest, store: Storage, key: str, writer: str) -> None:
    chosen: Store = request.getfixturevalue(writer)
    chosen.write(key, b"picture", "image/jpeg")
    answer = store._client.head_object(Bucket=store.bucket, Key=key, ChecksumMode="ENABLED")
    assert answer["ChecksumCRC32"] == crc32_field(zlib.crc32(b"picture"))
