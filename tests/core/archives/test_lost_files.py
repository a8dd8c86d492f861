"""A photo of which a size is lost: an archive that should hold it is refused by name, and is never quietly smaller."""

from __future__ import annotations

import uuid

import pytest

from safelight.archives.damage import report
from safelight.archives.service import plan_gallery
from safelight.db import driver
from tests.api import Photographer, client, jpeg, run_jobs

pytestmark = pytest.mark.usefixtures("api")

LOST = "DELETE FROM renditions r USING photos p WHERE p.id = r.photo_id AND r.name = 'large' AND p.filename = '1.jpg'"


def run(statement: str) -> None:
    with driver.connection() as connection:
        connection.run(statement)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("strip", [False, True])
def test_no_ready_photo_is_left_out(method: str, *, strip: bool) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photos = [anna.upload(gallery, jpeg(), filename=f"{number}.jpg") for number in range(3)]
    run_jobs()
    link = anna.share(gallery, download="original", **({"strip_metadata": True} if strip else {}))["share_id"]
    size = "original" if strip else "web"
    path = f"/s/{link}/download/all?size={size}"
    assert client().get(path).status_code == 200
    run(LOST)
    if strip:
        assert client().get(path).status_code == 200  # the clean file is there, and needs no rendition
        run("DELETE FROM clean_originals c USING photos p WHERE p.id = c.photo_id AND p.filename = '1.jpg'")
    refused = client().request(method, path)
    assert refused.status_code == 409
    if method == "GET":
        assert refused.json()["code"] == "archive_broken"
        assert "“1.jpg”" in refused.json()["detail"]
    told = {photo: anna.call("GET", f"/photos/{photo}").json()["damage_reason"] for photo in photos}
    assert {photo for photo, reason in told.items() if reason} == {photos[1]}
    assert "web size is missing" in told[photos[1]]
    if not strip:
        assert client().get(f"/s/{link}/download/all?size=original").status_code == 200


def test_a_rendition_that_was_made_anew_meanwhile_is_no_damage() -> None:
    """An archive that was planned before finds other bytes than it expects, and nobody has to upload anything."""
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photo = anna.upload(gallery, jpeg(), filename="1.jpg")
    run_jobs()
    with driver.connection() as connection:
        [entry, _receipt] = plan_gallery(connection, uuid.UUID(gallery), "web", None, strip=False).entries

    def reason() -> str | None:
        told: str | None = anna.call("GET", f"/photos/{photo}").json()["damage_reason"]
        return told

    run(f"UPDATE renditions SET etag = 'another' WHERE s3_key = '{entry.key}'")
    assert report(uuid.UUID(gallery), entry, "object_changed")
    assert reason() is None
    run(f"UPDATE renditions SET etag = '{entry.etag}' WHERE s3_key = '{entry.key}'")
    assert report(uuid.UUID(gallery), entry, "object_changed")
    assert "not the one that was uploaded" in str(reason())
