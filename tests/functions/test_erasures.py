"""Deleting for good: rows, originals, renditions and archives go, and a report says when."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, cast

import pytest

from safelight import sweep as steps
from safelight.archives import build
from safelight.archives.manifest import archive_key, manifest_key
from safelight.archives.plan import Plan
from safelight.archives.service import plan_gallery
from safelight.config import MIB
from safelight.db import driver
from safelight.db.engine import transaction
from safelight.models import Base
from safelight.queue import Queue
from safelight.shares.visits import Size
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
    built(gallery, planned(gallery))
    return gallery, ids


def planned(gallery: str, size: Size = "original") -> Plan:
    with driver.connection() as connection:
        return plan_gallery(connection, uuid.UUID(gallery), size)


def built(gallery: str, plan: Plan) -> None:
    with transaction() as session:
        build.request(session, light_store(), multipart(), Queue(), uuid.UUID(gallery), plan, 5 * MIB)
    run_jobs()
    assert storage().head(archive_key(plan.digest)) is not None


def archives() -> list[str]:
    return list(storage().keys("archives/"))


def remembered(photo: str) -> bool:
    return sql("SELECT 1 FROM photos WHERE id = cast(:id AS uuid)", id=photo) != []


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


def test_a_photo_is_remembered_until_the_archives_that_hold_it_have_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted between the two steps, with more archives than one sweep takes, one of which is being completed."""
    anna = Photographer.registered()
    gallery, ids = filled(anna)
    built(gallery, planned(gallery, "web"))
    monkeypatch.setattr(steps, "BATCH", 1)
    first = steps._archives

    def archives_then_deletion(store: steps.Store, queue: Queue, swept: steps.Swept) -> None:
        first(store, queue, swept)
        monkeypatch.setattr(steps, "_archives", first)
        assert anna.call("DELETE", f"/photos/{ids[0]}").status_code == 204

    monkeypatch.setattr(steps, "_archives", archives_then_deletion)
    left = []
    for _ in range(3):
        sweep(storage(), Queue())
        left.append((len(archives()), remembered(ids[0])))
        assert not [key for key in storage().keys("originals/") if ids[0] in key]  # these need not wait
    assert left == [(4, True), (2, True), (0, False)]


def test_an_archive_that_is_being_completed_is_waited_for() -> None:
    anna = Photographer.registered()
    _, ids = filled(anna)
    with driver.connection() as completing:
        completing.run("SELECT 1 FROM archives FOR UPDATE")
        assert anna.call("DELETE", f"/photos/{ids[0]}").status_code == 204
        swept()
        assert (len(archives()), remembered(ids[0])) == (2, True)
    swept()
    assert (archives(), remembered(ids[0])) == ([], False)


@pytest.mark.parametrize("manifest", ["whole", "gone", "damaged"])
@pytest.mark.parametrize("size", ["original", "web"])
def test_an_archive_planned_before_a_deletion_and_begun_after_it_goes(size: Size, manifest: str) -> None:
    anna = Photographer.registered()
    gallery, ids = filled(anna)
    late = planned(gallery, size)
    sql("UPDATE archives SET used_at = now() - interval '8 days'")
    swept()
    assert archives() == []
    assert anna.call("DELETE", f"/photos/{ids[0]}").status_code == 204
    built(gallery, late)
    if manifest == "gone":
        storage().delete([manifest_key(late.digest)])
    elif manifest == "damaged":
        storage().write(manifest_key(late.digest), b"\x1f\x8b", "application/gzip")
    sweep(storage(), Queue())
    assert remembered(ids[0])
    swept()
    assert (archives(), remembered(ids[0]), remembered(ids[1])) == ([], False, True)
    assert sql("SELECT count(*) FROM archives") == [(0,)]


def test_an_archive_without_the_deleted_photo_stays_whatever_the_clocks_say() -> None:
    anna = Photographer.registered()
    gallery, ids = filled(anna, photos=3)
    before = planned(gallery)
    assert anna.call("DELETE", f"/photos/{ids[0]}").status_code == 204
    after = planned(gallery)
    built(gallery, after)
    assert anna.call("DELETE", f"/photos/{ids[1]}").status_code == 204
    sql("UPDATE photos SET deleted_at = deleted_at - interval '1 hour' WHERE deleted_at IS NOT NULL")
    last = planned(gallery)
    built(gallery, last)
    swept()
    assert storage().head(archive_key(before.digest)) is None
    assert storage().head(archive_key(after.digest)) is None
    assert sorted(archives()) == sorted([archive_key(last.digest), manifest_key(last.digest)])
    assert [remembered(photo) for photo in ids] == [False, False, True]


def test_an_archive_that_cannot_be_deleted_is_told_of_and_holds_up_nobody_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    stuck, ids = filled(anna)
    gone, _ = filled(ben)
    refused = archive_key(planned(stuck).digest)
    kept, erased = (who.call("DELETE", f"/galleries/{which}") for who, which in ((anna, stuck), (ben, gone)))
    monkeypatch.setattr(steps, "BATCH", 3)
    store = storage()

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def delete(self, keys: Iterable[str]) -> None:
            wanted = list(keys)
            if refused in wanted:
                raise PermissionError
            store.delete(wanted)

    for _ in range(4):
        caplog.clear()
        with pytest.raises(PermissionError):
            sweep(cast("Any", Refusing()), Queue())
        told = [record for record in caplog.records if record.message == "archive not deleted"]
        assert [record.__dict__["gallery_id"] for record in told] == [stuck]
    assert not [key for key in storage().keys("") if gone in key or ids[0] in key]
    reports = [client().get(answer.headers["location"]).json() for answer in (kept, erased)]
    assert [report["finished_at"] is None for report in reports] == [True, False]
    assert remembered(ids[0])
    swept()
    assert list(storage().keys("")) == []
    assert client().get(kept.headers["location"]).json()["finished_at"] is not None


def test_a_report_that_never_was_is_nothing() -> None:
    problem(client().get(f"/erasures/{uuid.uuid4()}"), 404, "not_found")
