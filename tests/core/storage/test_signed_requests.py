"""Signed URLs and headers against the real store: what was signed is served, anything else is refused."""

import time

import httpx
import pytest

from local.bucket import REGION
from safelight.storage.disposition import attachment
from safelight.storage.signer import Credentials, Signer
from safelight.storage.store import Storage

DATA = bytes(range(256)) * 4


@pytest.fixture
def stored(store: Storage, key: str) -> str:
    store.write(key, DATA, "image/jpeg")
    return key


def test_a_url_serves_the_object(signer: Signer, stored: str) -> None:
    answer = httpx.get(signer.get_urls(60)(stored))
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-type"] == "image/jpeg"
    ranged = httpx.get(signer.url("GET", stored, 60), headers={"Range": "bytes=10-19"})
    assert (ranged.status_code, ranged.content) == (206, DATA[10:20])


def test_a_head_url_tells_the_size_and_serves_nothing_else(signer: Signer, stored: str) -> None:
    url = signer.url("HEAD", stored, 60)
    assert httpx.head(url).headers["content-length"] == str(len(DATA))
    assert httpx.get(url).status_code == 403


@pytest.mark.parametrize("filename", ["plain.jpg", 'a "quoted" name.jpg', "Снимок № 1.jpg", "x\r\nSet-Cookie: a=b.jpg"])
def test_overridden_headers_arrive(signer: Signer, stored: str, filename: str) -> None:
    disposition = attachment(filename)
    url = signer.url("GET", stored, 60, disposition=disposition, content_type="application/octet-stream")
    answer = httpx.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "set-cookie" not in answer.headers


def test_a_url_expires(signer: Signer, stored: str) -> None:
    assert httpx.get(signer.url("GET", stored, 60, now=time.time() - 50)).status_code == 200
    assert httpx.get(signer.url("GET", stored, 60, now=time.time() - 65)).status_code == 403


def test_a_tampered_url_is_refused(signer: Signer, store: Storage, stored: str) -> None:
    store.write(stored + "-other", DATA, "image/jpeg")
    url = signer.url("GET", stored, 60, disposition="attachment")
    assert httpx.get(url).status_code == 200
    tampered = {
        "another key": url.replace(stored, stored + "-other"),
        "longer life": url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
        "another disposition": url.replace("disposition=attachment", "disposition=inline"),
        "another type": url + "&response-content-type=text%2Fhtml",
        "another signature": url[:-1] + ("0" if url[-1] != "0" else "1"),
        "no query": url.partition("?")[0],
    }
    assert url not in tampered.values()
    assert {name: httpx.get(other).status_code for name, other in tampered.items()} == dict.fromkeys(tampered, 403)
    assert httpx.get(url.rpartition("&")[0]).status_code == 400  # a query without its signature is malformed


def test_another_secret_is_refused(signer: Signer, credentials: Credentials, store: Storage, stored: str) -> None:
    endpoint = signer.address.origin
    forger = Signer(Credentials(credentials.access_key, "guessed"), REGION, store.bucket, endpoint)
    stranger = Signer(Credentials("NOBODY", credentials.secret_key), REGION, store.bucket, endpoint)
    for other in (forger, stranger):
        assert httpx.get(other.url("GET", stored, 60)).status_code == 403
        headers = other.headers("GET", stored)
        assert httpx.get(endpoint + other.address.path(stored), headers=headers).status_code == 403


def test_a_put_url_takes_the_signed_type_only(signer: Signer, store: Storage, key: str) -> None:
    url = signer.url("PUT", key, 60, content_type="image/png")
    assert httpx.put(url, content=DATA, headers={"Content-Type": "text/html"}).status_code == 403
    assert httpx.get(url).status_code == 403
    assert store.head(key) is None
    assert httpx.put(url, content=DATA, headers={"Content-Type": "image/png"}).status_code == 200
    data, info = store.read(key)
    assert (data, info.content_type) == (DATA, "image/png")


def test_one_header_signature_serves_many_ranges(signer: Signer, store: Storage, stored: str) -> None:
    info = store.head(stored)
    assert info is not None
    headers = signer.headers("GET", stored, extra={"If-Match": info.etag})
    url = signer.address.origin + signer.address.path(stored)
    for start in (0, 100, 1000):
        answer = httpx.get(url, headers=headers | {"range": f"bytes={start}-{start + 9}"})
        assert (answer.status_code, answer.content) == (206, DATA[start : start + 10])
    assert httpx.get(url, headers=headers | {"if-match": '"other"'}).status_code == 403
    changed = signer.headers("GET", stored, extra={"If-Match": '"other"'})
    assert httpx.get(url, headers=changed).status_code == 412
    assert httpx.get(url, headers={"host": headers["host"]}).status_code == 403


def test_a_signed_query_lists(signer: Signer, stored: str) -> None:
    query = f"list-type=2&max-keys=1&prefix={stored.replace('/', '%2F')}"
    answer = httpx.get(
        f"{signer.address.origin}{signer.address.base}/?{query}", headers=signer.headers("GET", "", query=query)
    )
    assert answer.status_code == 200, answer.text
    assert f"<Key>{stored}</Key>" in answer.text


def test_a_quantised_url_stays_the_same_and_works(signer: Signer, stored: str) -> None:
    start = int(time.time()) // 300 * 300
    urls = {signer.get_urls(900, quantum=300, now=moment)(stored) for moment in (start, start + 0.5, start + 299.9)}
    assert len(urls) == 1
    assert [httpx.get(url).status_code for url in urls] == [200]
    assert signer.get_urls(900, quantum=300, now=start + 300)(stored) not in urls
