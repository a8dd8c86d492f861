"""The signer against botocore: the same strings, byte for byte, over a fixed and a generated corpus."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from itertools import product
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.storage.client import make_client
from safelight.storage.signer import Credentials, Signer, crc32_field
from tests.core.storage import corpus
from tests.core.storage.corpus import BUCKET, NOW

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@contextmanager
def botocore_at(moment: float) -> Iterator[None]:
    at = datetime.fromtimestamp(moment, UTC)
    with (
        mock.patch("botocore.auth.get_current_datetime", return_value=at),
        mock.patch("botocore.signers.get_current_datetime", return_value=at),
    ):
        yield


@lru_cache(maxsize=32)
def peer(region: str, endpoint: str | None, credentials: Credentials) -> "S3Client":
    return make_client(region, endpoint, credentials)


def assert_same_urls(
    credentials: Credentials,
    region: str,
    endpoint: str | None,
    bucket: str,
    key: str,
    *,
    expires: int = 900,
    at: float = NOW,
    disposition: str | None = None,
    content_type: str | None = None,
    client: "S3Client | None" = None,
) -> None:
    client = client or peer(region, endpoint, credentials)
    signer = Signer(credentials, region, bucket, endpoint)
    where = {"Bucket": bucket, "Key": key}
    overrides = {"ResponseContentDisposition": disposition, "ResponseContentType": content_type}
    reading = where | {name: value for name, value in overrides.items() if value is not None}
    writing = where | ({} if content_type is None else {"ContentType": content_type})
    with botocore_at(at):
        get = client.generate_presigned_url("get_object", Params=reading, ExpiresIn=expires)
        head = client.generate_presigned_url("head_object", Params=reading, ExpiresIn=expires)
        put = client.generate_presigned_url("put_object", Params=writing, ExpiresIn=expires)
    assert signer.get_urls(expires, now=at, disposition=disposition, content_type=content_type)(key) == get
    assert signer.url("GET", key, expires, now=at, disposition=disposition, content_type=content_type) == get
    assert signer.url("HEAD", key, expires, now=at, disposition=disposition, content_type=content_type) == head
    assert signer.url("PUT", key, expires, now=at, content_type=content_type) == put


@pytest.mark.parametrize("region", corpus.REGIONS)
def test_regions(region: str) -> None:
    for bucket in corpus.BUCKETS:
        assert_same_urls(corpus.CREDENTIALS[1], region, None, bucket, "a b/ü.jpg", disposition="attachment")


@pytest.mark.parametrize("endpoint", corpus.ENDPOINTS)
def test_endpoints(endpoint: str | None) -> None:
    for credentials, bucket in product(corpus.CREDENTIALS, corpus.BUCKETS):
        assert_same_urls(credentials, "eu-west-1", endpoint, bucket, "a b/ü.jpg", disposition="attachment")


@pytest.mark.parametrize("key", corpus.KEYS)
def test_keys(key: str) -> None:
    for credentials, endpoint in product(corpus.CREDENTIALS, (None, "http://127.0.0.1:8333")):
        assert_same_urls(credentials, "eu-west-1", endpoint, BUCKET, key)


@pytest.mark.parametrize("disposition", corpus.DISPOSITIONS)
@pytest.mark.parametrize("content_type", corpus.TYPES)
def test_overrides(disposition: str | None, content_type: str | None) -> None:
    for credentials in corpus.CREDENTIALS:
        assert_same_urls(
            credentials, "eu-west-1", None, BUCKET, "k", disposition=disposition, content_type=content_type
        )


@settings(max_examples=100, deadline=None)
@given(
    credentials=st.sampled_from(corpus.CREDENTIALS),
    region=st.sampled_from(corpus.REGIONS[:4]),
    endpoint=st.sampled_from(corpus.ENDPOINTS[:2]),
    key=corpus.keys,
    expires=corpus.lifetimes,
    at=corpus.moments,
    disposition=st.one_of(st.none(), corpus.printable),
    content_type=st.one_of(st.none(), corpus.header_values),
)
def test_generated_urls(
    credentials: Credentials,
    region: str,
    endpoint: str | None,
    key: str,
    expires: int,
    at: float,
    disposition: str | None,
    content_type: str | None,
) -> None:
    assert_same_urls(
        credentials,
        region,
        endpoint,
        BUCKET,
        key,
        expires=expires,
        at=at,
        disposition=disposition,
        content_type=content_type,
    )


def assert_same_post(
    credentials: Credentials,
    region: str,
    endpoint: str | None,
    key: str,
    content_type: str,
    max_bytes: int,
    expires: int,
    crc32: str | None,
    at: float,
) -> None:
    content = {"Content-Type": content_type, "success_action_status": "204"}
    if crc32 is not None:
        content |= {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": crc32}
    with botocore_at(at):
        theirs = peer(region, endpoint, credentials).generate_presigned_post(
            BUCKET,
            key,
            Fields=content,
            Conditions=[
                *({name: value} for name, value in content.items()),
                ["content-length-range", 1, max_bytes],
            ],
            ExpiresIn=expires,
        )
    signer = Signer(credentials, region, BUCKET, endpoint)
    ours = signer.post(key, content_type=content_type, max_bytes=max_bytes, expires=expires, crc32=crc32, now=at)
    assert ours.url == theirs["url"]
    assert ours.fields == theirs["fields"]  # the policy and its signature included
    assert ours.expires_at == datetime.fromtimestamp(int(at) + expires, UTC)


@pytest.mark.parametrize("endpoint", corpus.ENDPOINTS)
@pytest.mark.parametrize("crc32", [None, crc32_field(0), crc32_field(0xDEADBEEF)])
def test_post_forms(endpoint: str | None, crc32: str | None) -> None:
    for credentials, region in zip(corpus.CREDENTIALS, ("eu-west-1", "cn-north-1"), strict=True):
        assert_same_post(credentials, region, endpoint, "incoming/a", "image/jpeg", 15_728_640, 600, crc32, NOW)


@settings(max_examples=60, deadline=None)
@given(
    credentials=st.sampled_from(corpus.CREDENTIALS),
    key=corpus.keys.filter(lambda key: "${" not in key),
    content_type=corpus.header_values,
    max_bytes=st.integers(1, 2**40),
    expires=corpus.lifetimes,
    crc32=st.one_of(st.none(), st.integers(0, 2**32 - 1).map(crc32_field)),
    at=corpus.moments,
)
def test_generated_post_forms(
    credentials: Credentials,
    key: str,
    content_type: str,
    max_bytes: int,
    expires: int,
    crc32: str | None,
    at: float,
) -> None:
    assert_same_post(credentials, "eu-west-1", None, key, content_type, max_bytes, expires, crc32, at)


QUERIES = ["", "uploads", "list-type=2&prefix=a%2Fb&prefix-x=1", "partNumber=3&uploadId=a~b", "b=2&a=1&a=0"]


def assert_same_headers(
    credentials: Credentials, method: str, key: str, query: str, body: bytes, extra: dict[str, str], at: float
) -> None:
    signer = Signer(credentials, "eu-west-1", BUCKET, "http://127.0.0.1:8333")
    path = signer.address.path(key)
    url = f"{signer.address.origin}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body, headers=extra)
    boto = BotoCredentials(credentials.access_key, credentials.secret_key, credentials.session_token)
    with botocore_at(at):
        S3SigV4Auth(boto, "s3", "eu-west-1").add_auth(request)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    ours = signer.headers(method, key, query=query, payload_hash=sha256(body).hexdigest(), extra=extra, now=at)
    host = ours.pop("host")  # botocore leaves it to its HTTP client
    assert host == "127.0.0.1:8333"
    assert ours == theirs


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("key", corpus.KEYS)
def test_headers(key: str, query: str) -> None:
    for credentials in corpus.CREDENTIALS:
        assert_same_headers(credentials, "GET", key, query, b"", {"Range": "bytes=0-9", "If-Match": '"e"'}, NOW)


@settings(max_examples=60, deadline=None)
@given(
    credentials=corpus.credentials,
    key=corpus.keys,
    body=st.binary(max_size=100),
    content_type=corpus.header_values,
    at=corpus.moments,
)
def test_generated_headers(credentials: Credentials, key: str, body: bytes, content_type: str, at: float) -> None:
    assert_same_headers(credentials, "PUT", key, "", body, {"Content-Type": content_type}, at)


@settings(max_examples=5, deadline=None)
@given(credentials=corpus.credentials, key=corpus.keys)
def test_generated_credentials(credentials: Credentials, key: str) -> None:
    assert_same_urls(credentials, "eu-west-1", None, BUCKET, key, client=make_client("eu-west-1", None, credentials))


@pytest.mark.parametrize("change", [lambda key: key + "x", lambda key: key.upper(), lambda key: "y" + key])
def test_the_comparison_can_fail(change: Callable[[str], str]) -> None:
    signer = Signer(corpus.CREDENTIALS[0], "eu-west-1", BUCKET)
    sign = signer.get_urls(60, now=NOW)
    assert sign("k").rpartition("=")[2] != sign(change("k")).rpartition("=")[2]
