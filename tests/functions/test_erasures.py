"""Deleting for good: rows, originals, renditions and archives go, and a report says when."""

from __future__ import annotations

import uuid

import pytest

from safelight.archives import build
from safelight.archives.manifest import archive_key
from safelight.archives.service import plan_gallery
from safelight.config import MIB
from safelight.db import driver
from safelight.db.engine import transaction
from safelight.models import Base
from safelight.queue import Queue
from safelight.storage import light_store, multipart, storage
from safelight.sweep import sweep
from tests.api import Photographer, client, jpeg, run_jobs
from tests.functions.support import problem, sql

pytestmark = pytest.mark.usefixtures("api")


def filled(anna: Photographer, photos: int = 2) -> tuple[str, list[str]]:
    """A gallery with photos, a link with events and favourites, and a built archive."""
    gallery = anna.gallery()["id"]
    ids = [anna.upload(gallery, jpeg(64 + n, 48)) for n in range(photos)]
    run_jobs()
    share = anna.share(gallery)["share_id"]
    visitor = client()
    assert visitor.get(f"/s/{share}").status_code == 200
    assert visitor.get(f"/s/{share}/download/{ids[0]}").status_code == 307
    assert visitor.put(f"/s/{share}/favourites/{ids[0]}").status_code in (200, 204)
    with driver.connection() as connection:
        planned = plan_gallery(connection, uuid.UUID(gallery), "original")
    with transaction() as session:
        build.request(session, light_store(), multipart(), Queue(), uuid.UUID(gallery), planned, 5 * MIB)
    run_jobs()
    assert storage().head(archive_key(planned.digest)) is not None
    return gallery, ids


def swept() -> None:
    for _ in range(3):
        sweep(storage(), Queue())


def rows_left() -> dict[str, int]:
    """Tables that still hold something, but for what names nobody (jobs, salts) and the reports themselves."""
    nobody = ("jobs", "erasures", "throttles", "visitor_salts")
    counts = {table: sql(f'SELECT count(*) FROM "{table}"')[0][0] for table in Base.metadata.tables}
    return {table: count for table, count in counts.items() if count and table not in nobody}


def test_a_closed_account_leaves_no_row_and_no_object() -> None:
    anna = Photographer.registered()
    gallery, ids = filled(anna)
    filled(anna, photos=1)
    waiting = anna.announce(gallery, jpeg())
    assert anna.call("POST", "/auth/api-keys", json={"name": "x", "scopes": ["read"]}).status_code == 201
    answer = anna.call("DELETE", "/auth/me")
    assert answer.status_code == 204
    report = client().get(answer.headers["location"]).json()
    assert report["finished_at"] is None
    assert (report["kind"], report["galleries"], report["photos"]) == ("account", 2, 4)
    assert (report["renditions"], report["archives"], report["share_links"]) == (12, 2, 2)
    assert report["size"] > 0
    problem(anna.call("GET", f"/photos/{ids[0]}"), 401, "unauthorized")
    swept()
    assert rows_left() == {}
    assert list(storage().keys("")) == []
    done = client().get(answer.headers["location"]).json()
    assert done.pop("finished_at") is not None
    report.pop("finished_at")
    assert done == report
    assert waiting["photo"]["id"] not in str(sql("SELECT * FROM erasures"))


def test_a_deleted_gallery_goes_with_its_archive_and_leaves_the_others() -> None:
    anna = Photographer.registered()
    gone, _ = filled(anna)
    kept, ids = filled(anna)
    before = set(storage().keys(""))
    answer = anna.call("DELETE", f"/galleries/{gone}")
    assert answer.status_code == 204
    swept()
    left = set(storage().keys(""))
    assert not [key for key in left if gone in key]
    assert {key for key in before if kept in key} == {key for key in left if kept in key}
    assert len([key for key in left if key.startswith("archives/") and key.endswith(".zip")]) == 1
    report = client().get(answer.headers["location"]).json()
    assert (report["kind"], report["galleries"], report["archives"]) == ("gallery", 1, 1)
    assert report["finished_at"] is not None
    assert anna.photo(ids[0])["status"] == "ready"


def test_a_deleted_photo_is_in_no_archive_any_more() -> None:
    anna = Photographer.registered()
    _, ids = filled(anna)
    assert anna.call("DELETE", f"/photos/{ids[0]}").status_code == 204
    swept()
    left = list(storage().keys(""))
    assert not [key for key in left if ids[0] in key or key.startswith("archives/")]
    assert [key for key in left if ids[1] in key]
    assert sql("SELECT count(*) FROM archives") == [(0,)]


def test_a_report_that_never_was_is_nothing() -> None:
    problem(client().get(f"/erasures/{uuid.uuid4()}"), 404, "not_found")
