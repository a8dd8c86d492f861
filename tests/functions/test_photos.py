"""Photos: announcing, completing, showing, changing and deleting them."""

from __future__ import annotations

import base64
import uuid
import zlib

import httpx2 as httpx
import pytest

from safelight.config import MAX_PHOTO_BYTES
from tests.api import Photographer, client, jpeg, post_form, run_jobs
from tests.functions.support import problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")


def announced(**changed: object) -> dict[str, object]:
    return {"filename": "photo.jpg", "content_type": "image/jpeg", "file_size": 1000, **changed}


def crc32(data: bytes) -> str:
    """As S3 writes it."""
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def test_an_announced_photo_is_pending_and_comes_with_a_form_for_its_own_key() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    made = anna.announce(gallery, jpeg(), title="Rings", tags=["ceremony"], description="close")
    photo, form = made["photo"], made["upload"]
    assert (photo["status"], photo["title"], photo["tags"]) == ("pending", "Rings", ["ceremony"])
    assert form["fields"]["key"] == f"incoming/{photo['id']}"
    assert form["fields"]["Content-Type"] == "image/jpeg"
    assert form.keys() == {"url", "fields", "expires_at"}


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"file_size": MAX_PHOTO_BYTES + 1}, 413, "too_large"),
        ({"file_size": 2**41}, 422, "invalid"),
        ({"file_size": 0}, 422, "invalid"),
        ({"content_type": "image/gif"}, 415, "unsupported_type"),
        ({"content_type": "IMAGE/JPEG; charset=x"}, 415, "unsupported_type"),
        ({"filename": ""}, 422, "invalid"),
        ({"filename": "x" * 256}, 422, "invalid"),
        ({"filename": "a\0b"}, 422, "invalid"),
        ({"crc32": "AAAA"}, 422, "invalid"),
        ({"crc32": "AAAAAA=="[:-1] + "é"}, 422, "invalid"),
        ({"crc32": "deadbeef"}, 422, "invalid"),
        ({"tags": ["x"] * 51}, 422, "invalid"),
        ({"tags": [""]}, 422, "invalid"),
        ({"status": "ready"}, 422, "invalid"),
    ],
)
def test_what_cannot_become_a_photo_is_refused_alone_and_in_a_batch(
    changed: dict[str, object], status: int, code: str
) -> None:
    anna = Photographer.registered()
    path = f"/galleries/{anna.gallery()['id']}/photos"
    problem(anna.call("POST", path, json=announced(**changed)), status, code)
    batch = {"photos": [announced(), announced(**changed), announced()]}
    answer = anna.call("POST", f"{path}/batch", json=batch)
    if status == 422:  # the request itself is malformed, so nothing of it is taken
        problem(answer, status, code)
        assert anna.call("GET", path).json()["items"] == []
    else:
        assert answer.status_code == 201
        first, refused, last = answer.json()["items"]
        assert refused.keys() == {"problem"}
        assert (refused["problem"]["status"], refused["problem"]["code"]) == (status, code)
        listed = [photo["id"] for photo in anna.call("GET", path).json()["items"]]
        assert listed == [first["photo"]["id"], last["photo"]["id"]]


def test_a_batch_takes_a_hundred_in_their_order_and_no_more() -> None:
    anna = Photographer.registered()
    path = f"/galleries/{anna.gallery()['id']}/photos"
    largest = announced(file_size=MAX_PHOTO_BYTES)
    batch = {"photos": [{**largest, "filename": f"{n}.jpg"} for n in range(100)]}
    answer = anna.call("POST", f"{path}/batch", json=batch)
    assert answer.status_code == 201
    items = answer.json()["items"]
    assert [item["photo"]["filename"] for item in items] == [f"{n}.jpg" for n in range(100)]
    assert len({item["upload"]["fields"]["key"] for item in items}) == 100
    listed = anna.call("GET", path, params={"limit": 200}).json()["items"]
    assert [photo["id"] for photo in listed] == [item["photo"]["id"] for item in items]
    for count in (0, 101):
        problem(anna.call("POST", f"{path}/batch", json={"photos": [largest] * count}), 422, "invalid")


def test_complete_waits_for_the_bytes_and_may_be_said_twice() -> None:
    anna = Photographer.registered()
    data = jpeg()
    made = anna.announce(anna.gallery()["id"], data, crc32=crc32(data))
    path = f"/photos/{made['photo']['id']}"
    problem(anna.call("POST", f"{path}/complete"), 409, "not_uploaded")
    assert post_form(made["upload"], data[:-1] + b"?").status_code >= 400  # the bucket checks the announced CRC-32
    problem(anna.call("POST", f"{path}/complete"), 409, "not_uploaded")
    assert post_form(made["upload"], data).status_code == 204
    for _ in range(2):
        assert anna.call("POST", f"{path}/complete").json()["status"] == "processing"
    assert run_jobs() == 1
    ready = anna.call("POST", f"{path}/complete").json()
    assert (ready["status"], ready["width"], ready["height"]) == ("ready", 64, 48)
    assert ready["crc32"] == zlib.crc32(data)
    assert run_jobs() == 0


def test_a_photo_known_to_the_client_is_not_sent_again() -> None:
    anna = Photographer.registered()
    path = f"/photos/{anna.announce(anna.gallery()['id'], jpeg())['photo']['id']}"
    first = anna.call("GET", path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, max-age=60"
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = anna.call("GET", path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    for other in ('"other"', "", etag.strip('"')):
        assert anna.call("GET", path, headers={"If-None-Match": other}).status_code == 200
    anna.call("PATCH", path, json={"title": "changed"})
    answer = anna.call("GET", path, headers={"If-None-Match": etag})
    assert answer.json()["title"] == "changed"
    assert answer.headers["etag"] != etag


def test_a_photo_is_changed_and_found_by_status_and_tag() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    first, second = (anna.announce(gallery, jpeg())["photo"]["id"] for _ in range(2))
    path = f"/galleries/{gallery}/photos"
    change = {"filename": "neu.jpg", "title": "t", "description": "d", "tags": ["a", "b"], "position": -1}
    changed = anna.call("PATCH", f"/photos/{second}", json=change).json()
    assert {name: changed[name] for name in change} == change
    assert [photo["id"] for photo in anna.call("GET", path).json()["items"]] == [second, first]
    both = [second, first]
    for query, found in (("tag=b", [second]), ("tag=c", []), ("status=pending", both), ("status=ready", [])):
        assert [photo["id"] for photo in anna.call("GET", f"{path}?{query}").json()["items"]] == found
    for bad in ({"status": "gone"}, {"tag": "\0"}):
        problem(anna.call("GET", path, params=bad), 422, "invalid")
    for bad_change in ({"position": 2**60}, {"content_type": "image/png"}, {"filename": ""}):
        problem(anna.call("PATCH", f"/photos/{first}", json=bad_change), 422, "invalid")
    kept = anna.call("PATCH", f"/photos/{second}", json={"title": None, "tags": None}).json()
    assert (kept["title"], kept["tags"]) == ("t", ["a", "b"])


def test_renditions_are_redirects_to_what_they_name() -> None:
    anna = Photographer.registered()
    data = jpeg(800, 600)
    photo_id = anna.upload(anna.gallery()["id"], data, filename="Brüder & Söhne.jpg")
    problem(anna.call("GET", f"/photos/{photo_id}/renditions/thumb"), 404, "not_found")
    run_jobs()
    for name in ("thumb", "preview", "large", "grayscale", "original"):
        answer = anna.call("GET", f"/photos/{photo_id}/renditions/{name}")
        assert answer.status_code == 307
        picture = httpx.get(answer.headers["location"], verify=False)
        assert picture.headers["content-type"] == "image/jpeg"
        assert (picture.content == data) is (name == "original")
    assert "filename*=UTF-8''Br%C3%BCder%20&%20S%C3%B6hne.jpg" in picture.headers["content-disposition"]
    problem(anna.call("GET", f"/photos/{photo_id}/renditions/huge"), 422, "invalid")


def test_a_deleted_photo_is_hidden_at_once_and_erased_by_the_sweep() -> None:
    from safelight.photos import keys
    from safelight.storage import storage
    from safelight.sweep import run as sweep

    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photo_id, kept = anna.upload(gallery), anna.upload(gallery)
    run_jobs()
    share = anna.share(gallery)["share_id"]
    assert anna.call("DELETE", f"/photos/{photo_id}").status_code == 204
    visitor = client()
    assert [one["photo_id"] for one in visitor.get(f"/s/{share}").json()["photos"]] == [kept]
    for path in (f"/s/{share}/photos/{photo_id}", f"/s/{share}/download/{photo_id}"):
        problem(visitor.get(path), 404, "not_found")
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/complete"),
        ("GET", "/renditions/thumb"),
    ):
        problem(anna.call(method, f"/photos/{photo_id}{path}", json={}), 404, "not_found")
    gone, left = (keys.of_photo(uuid.UUID(gallery), uuid.UUID(one))[1:] for one in (photo_id, kept))
    assert all(storage().head(key) for key in gone)
    sweep()
    assert not any(storage().head(key) for key in gone)
    assert all(storage().head(key) for key in left)
    assert sql("SELECT id FROM photos WHERE gallery_id = :id", id=gallery) == [(uuid.UUID(kept),)]
