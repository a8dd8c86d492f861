"""The main job from end to end: upload, share, view, download."""

from __future__ import annotations

import hashlib
import io
import zipfile

import httpx2 as httpx
import pytest

from tests.api import Photographer, client, jpeg, run_jobs

pytestmark = pytest.mark.usefixtures("api")


def test_a_gallery_from_upload_to_the_visitors_zip() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()
    pictures = [jpeg(colour=(40 * n, 20, 90)) for n in range(4)]
    ids = [anna.upload(gallery["id"], data, filename="same.jpg") for data in pictures]
    assert run_jobs() == 4
    assert [anna.photo(photo_id)["status"] for photo_id in ids] == ["ready"] * 4
    share = anna.share(gallery["id"])

    visitor = client()
    listed = visitor.get(f"/s/{share['share_id']}").json()
    assert [photo["photo_id"] for photo in listed["photos"]] == ids
    assert listed["gallery"]["title"] == "Anna & Ben"
    for photo in listed["photos"]:
        assert httpx.get(photo["thumbnail_url"]).headers["content-type"] == "image/jpeg"
        full = visitor.get(photo["full_url"])
        assert full.status_code == 307
        assert httpx.get(full.headers["location"]).status_code == 200

    single = visitor.get(f"/s/{share['share_id']}/download/{ids[0]}")
    assert single.status_code == 307
    kept = httpx.get(single.headers["location"])
    assert kept.content == pictures[0]
    assert kept.headers["content-disposition"] == 'attachment; filename="same.jpg"'

    head = visitor.head(f"/s/{share['share_id']}/download/all")
    answer = visitor.get(f"/s/{share['share_id']}/download/all")
    assert answer.status_code == 200, answer.text
    assert int(head.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = [name for name in archive.namelist() if name != "SHA256SUMS.txt"]
        assert len(set(names)) == 4
        assert [archive.read(name) for name in names] == pictures
        sums = dict(line.split("  ", 1)[::-1] for line in archive.read("SHA256SUMS.txt").decode().splitlines())
        assert sums == {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}

    middle = visitor.get(f"/s/{share['share_id']}/download/all", headers={"Range": "bytes=100-299"})
    assert middle.status_code == 206
    assert middle.content == answer.content[100:300]

    counted = anna.call("GET", f"/share-links/{share['share_id']}").json()
    assert (counted["views"], counted["single_downloads"], counted["zip_downloads"]) == (1, 1, 1)
    stats = anna.call("GET", f"/share-links/{share['share_id']}/stats").json()
    [day] = stats["days"]
    assert (day["views"], day["single_downloads"], day["zip_downloads"]) == (1, 1, 1)
    assert (stats["views"], stats["single_downloads"], stats["zip_downloads"]) == (1, 1, 1)
