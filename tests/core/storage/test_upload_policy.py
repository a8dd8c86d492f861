"""The bucket itself keeps an upload to what was signed: asked of the real store, because no fake checks a policy."""

import base64
import json
import time
import zlib
from collections.abc import Callable, Mapping

import httpx
import pytest

from local.bucket import REGION
from safelight.storage.signer import Credentials, PostForm, Signer, crc32_field
from safelight.storage.store import Storage

MAX = 15 * 1024 * 1024
DATA = b"\xff\xd8 a small picture \xff\xd9"


Changes = Mapping[str, str | None]


def send(form: PostForm, data: bytes = DATA, changes: Changes | None = None, url: str | None = None) -> httpx.Response:
    """Post the form; `changes` replace, add or (None) leave out fields."""
    fields = {name: value for name, value in {**form.fields, **(changes or {})}.items() if value is not None}
    return httpx.post(url or form.url, data=fields, files={"file": ("x", data)}, timeout=30)


@pytest.fixture
def form(signer: Signer, key: str) -> PostForm:
    return signer.post(key, content_type="image/jpeg", max_bytes=MAX, expires=600)


def assert_stored(store: Storage, key: str, data: bytes) -> None:
    stored, info = store.read(key)
    assert stored == data
    assert (info.size, info.content_type) == (len(data), "image/jpeg")


def test_a_form_uploads(form: PostForm, store: Storage, key: str) -> None:
    answer = send(form)
    assert answer.status_code == 204, answer.text
    assert_stored(store, key, DATA)


def test_201_names_what_was_stored(signer: Signer, store: Storage, key: str) -> None:
    answer = send(signer.post(key, content_type="image/jpeg", max_bytes=MAX, expires=600, status=201))
    assert answer.status_code == 201, answer.text
    assert key in answer.text
    assert_stored(store, key, DATA)


@pytest.mark.parametrize("size", [1, MAX])
def test_the_limits_themselves_are_allowed(form: PostForm, store: Storage, key: str, size: int) -> None:
    data = b"x" * size
    answer = send(form, data)
    assert answer.status_code == 204, answer.text
    assert_stored(store, key, data)


def test_the_right_checksum_is_accepted(signer: Signer, store: Storage, key: str) -> None:
    crc32 = crc32_field(zlib.crc32(DATA))
    form = signer.post(key, content_type="image/jpeg", max_bytes=MAX, expires=600, crc32=crc32)
    answer = send(form)
    assert answer.status_code == 204, answer.text
    assert_stored(store, key, DATA)


def refused(answer: httpx.Response, store: Storage, *keys: str) -> bool:
    assert 400 <= answer.status_code < 500, f"{answer.status_code} {answer.text}"
    assert [store.head(key) for key in keys] == [None] * len(keys)
    return True


@pytest.mark.parametrize("size", [0, MAX + 1])
def test_other_sizes_are_refused(form: PostForm, store: Storage, key: str, size: int) -> None:
    answer = send(form, b"x" * size)
    assert refused(answer, store, key)
    assert ("EntityTooSmall" if size == 0 else "EntityTooLarge") in answer.text


def widened(policy: str) -> str:
    document = json.loads(base64.b64decode(policy))
    document["conditions"][-1:] = []
    return base64.b64encode(json.dumps(document).encode()).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"key": "incoming/another"},
        {"key": "originals/stolen/place"},
        {"Content-Type": "text/html"},
        {"Content-Type": None},
        {"x-amz-acl": "public-read"},
        {"x-amz-meta-note": "extra"},
        {"x-amz-storage-class": "GLACIER"},
        {"x-amz-website-redirect-location": "https://elsewhere.example/"},
        {"success_action_status": "200"},
        {"x-amz-signature": "0" * 64},
        {"x-amz-signature": None},
        {"policy": None},
        {"policy": None, "x-amz-signature": None, "x-amz-credential": None, "x-amz-algorithm": None},
        {"x-amz-credential": "SOMEBODYELSE/20260101/us-east-1/s3/aws4_request"},
        {"x-amz-date": "20200101T000000Z"},
    ],
    ids=lambda change: ",".join(f"{name}={(value or 'absent')[:20]}" for name, value in change.items()),
)
def test_a_changed_field_is_refused(form: PostForm, store: Storage, key: str, change: Changes) -> None:
    assert refused(send(form, changes=change), store, key, "incoming/another", "originals/stolen/place")


def test_an_acl_opens_nothing(form: PostForm, key: str) -> None:
    """AWS refuses this field, which no condition names; SeaweedFS ignores it. Nobody can read the object either way."""
    send(form, changes={"acl": "public-read"})
    assert httpx.get(f"{form.url}/{key}").status_code == 403


def test_a_rewritten_policy_is_refused(form: PostForm, store: Storage, key: str) -> None:
    assert refused(send(form, changes={"policy": widened(form.fields["policy"])}), store, key)


def test_an_expired_policy_is_refused(signer: Signer, store: Storage, key: str) -> None:
    form = signer.post(key, content_type="image/jpeg", max_bytes=MAX, expires=600, now=time.time() - 605)
    assert refused(send(form), store, key)


def test_a_policy_lives_until_it_expires(signer: Signer, store: Storage, key: str) -> None:
    form = signer.post(key, content_type="image/jpeg", max_bytes=MAX, expires=600, now=time.time() - 590)
    assert send(form).status_code == 204
    assert_stored(store, key, DATA)


def test_another_secret_is_refused(signer: Signer, credentials: Credentials, store: Storage, key: str) -> None:
    forger = Signer(Credentials(credentials.access_key, "guessed"), REGION, store.bucket, signer.address.origin)
    assert refused(send(forger.post(key, content_type="image/jpeg", max_bytes=MAX, expires=600)), store, key)


@pytest.mark.parametrize("claim", [lambda crc: crc ^ 1, lambda _: 0], ids=["one bit", "zero"])
def test_other_bytes_than_the_checksum_says_are_refused(
    signer: Signer, store: Storage, key: str, claim: Callable[[int], int]
) -> None:
    crc32 = crc32_field(claim(zlib.crc32(DATA)))
    form = signer.post(key, content_type="image/jpeg", max_bytes=MAX, expires=600, crc32=crc32)
    assert refused(send(form), store, key)


@pytest.mark.parametrize(
    "change",
    [
        {"x-amz-checksum-crc32": None},
        {"x-amz-checksum-crc32": None, "x-amz-checksum-algorithm": None},
        {"x-amz-checksum-crc32": crc32_field(1)},
    ],
    ids=["no value", "no checksum", "another value"],
)
def test_a_signed_checksum_must_be_sent(signer: Signer, store: Storage, key: str, change: Changes) -> None:
    crc32 = crc32_field(zlib.crc32(DATA))
    form = signer.post(key, content_type="image/jpeg", max_bytes=MAX, expires=600, crc32=crc32)
    assert refused(send(form, changes=change), store, key)


def test_the_form_is_of_one_bucket(form: PostForm, store: Storage, key: str) -> None:
    other = form.url.replace(store.bucket, store.bucket + "x")
    assert refused(send(form, url=other), store, key)
