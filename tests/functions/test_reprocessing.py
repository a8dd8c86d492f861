"""Reprocessing a gallery: with progress, behind uploads, once, and whatever dies or is deleted meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from typing import Any

import pytest

from functions.reprocess_gallery.app import handler
from safelight.db.engine import transaction
from safelight.errors import StorageUnavailable
from safelight.jobs import queries as job_queries
from safelight.photos import keys
from safelight.pictures import child
from safelight.pictures.errors import UnreadablePicture
from safelight.pictures.types import Rendered
from safelight.reprocessing import walk
from safelight.storage import storage
from safelight.storage.store import Storage
from safelight.sweep import run as sweep
from tests import product
from tests.api import Photographer, client, jpeg, run_jobs, sqs_event
from tests.functions.access import administrator
from tests.functions.support import in_parallel, problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")

RENDER = child.render


class Killed(BaseException):
    """The worker's end, which nothing catches."""


@pytest.fixture
def boss(shared_api: str) -> Photographer:
    assert shared_api
    return administrator()


@pytest.fixture
def anna(shared_api: str) -> Photographer:
    assert shared_api
    return Photographer.registered()


@pytest.fixture
def gallery(anna: Photographer) -> str:
    """With three ready photos."""
    made = str(anna.gallery()["id"])
    for shade in range(3):
        anna.upload(made, jpeg(640, 480, (shade * 60, 90, 30)))
    run_jobs()
    return made


def photos(anna: Photographer, gallery: str) -> list[dict[str, Any]]:
    """In the order of a walk, which is not the gallery's."""
    return sorted(anna.call("GET", f"/galleries/{gallery}/photos").json()["items"], key=lambda photo: photo["id"])


def begin(boss: Photographer, gallery: str, what: str = "renditions") -> dict[str, Any]:
    answer = boss.call("POST", f"/admin/galleries/{gallery}/reprocess", json={"what": what})
    assert answer.status_code == 202, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


def state(boss: Photographer, walk_id: str) -> dict[str, Any]:
    answer = boss.call("GET", f"/admin/reprocessings/{walk_id}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def made_of(gallery: str) -> list[tuple[Any, ...]]:
    return sql(
        "SELECT r.photo_id, r.name, r.sha256, r.etag FROM renditions r JOIN photos p ON p.id = r.photo_id"
        " WHERE p.gallery_id = :id ORDER BY 1, 2",
        id=gallery,
    )


def offered(walk_id: str) -> None:
    """The queue brings the walk's wake-up once."""
    [(job_id,)] = sql("SELECT id FROM jobs WHERE subject_id = :id AND status IN ('queued', 'running')", id=walk_id)
    assert handler(sqs_event(f"jobs/reprocess_gallery/{job_id}"), None) == {"batchItemFailures": []}


def attempts(walk_id: str, *, left: int) -> None:
    """So many are left for the photo at hand; with none, every worker that tried has died."""
    sql("UPDATE jobs SET attempts = max_attempts - :left WHERE subject_id = :id", id=walk_id, left=left)


def at_the_end(boss: Photographer, walk_id: str) -> dict[str, Any]:
    """The walk after all that waits."""
    due(walk_id)
    run_jobs()
    return state(boss, walk_id)


def due(walk_id: str) -> None:
    """Nobody waits for a pause or for the lease of a worker that died."""
    sql(
        "UPDATE jobs SET run_after = now(), lease_until = now() - interval '1 second' WHERE subject_id = :id",
        id=walk_id,
    )


def fails(monkeypatch: pytest.MonkeyPatch, error: Exception, *calls: int) -> list[bytes]:
    """Rendering goes wrong at these calls, counted from one; what it was called with."""
    seen: list[bytes] = []

    def render(data: bytes, content_type: str) -> Rendered:
        seen.append(data)
        if len(seen) in calls:
            raise error
        return RENDER(data, content_type)

    monkeypatch.setattr(child, "render", render)
    return seen


def test_renditions_are_made_again_and_whoever_looks_sees_the_old_ones_meanwhile(
    boss: Photographer, anna: Photographer, gallery: str
) -> None:
    before = made_of(gallery)
    sql("UPDATE renditions SET sha256 = 'old' WHERE name = 'thumb'")
    [first, *_] = photos(anna, gallery)
    storage().delete([keys.rendition(uuid.UUID(gallery), uuid.UUID(first["id"]), "preview")])
    sql("DELETE FROM analyses WHERE photo_id = :id", id=first["id"])
    begun = begin(boss, gallery)
    assert (begun["status"], begun["total"], begun["done"]) == ("queued", 3, 0)
    assert {photo["status"] for photo in photos(anna, gallery)} == {"ready"}
    assert run_jobs() == 1
    done = state(boss, begun["id"])
    assert (done["status"], done["done"], done["failed"], done["failures"]) == ("completed", 3, 0, [])
    assert done["completed_at"]
    assert [row[:3] for row in made_of(gallery)] == [row[:3] for row in before]
    for _, name, _, etag in made_of(gallery):
        assert name
        assert etag
    assert storage().head(keys.rendition(uuid.UUID(gallery), uuid.UUID(first["id"]), "preview"))
    assert sql("SELECT status FROM analyses WHERE photo_id = :id", id=first["id"]) == [("ready",)]


def test_what_did_not_change_is_not_written_again(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an archive of web sizes that is being downloaded goes on, and is the same afterwards."""
    web = f"/s/{anna.share(gallery)['share_id']}/download/all?size=web"
    before, archive = made_of(gallery), client().get(web)
    assert archive.status_code == 200
    written: list[str] = []
    real = Storage.write

    def noted(self: Storage, key: str, data: bytes, content_type: str) -> Any:
        written.append(key)
        return real(self, key, data, content_type)

    monkeypatch.setattr(Storage, "write", noted)
    begun = begin(boss, gallery)
    run_jobs()
    assert state(boss, begun["id"])["status"] == "completed"
    assert written == []
    assert made_of(gallery) == before
    half = len(archive.content) // 2
    resume = {"Range": f"bytes={half}-", "If-Range": archive.headers["etag"]}
    rest = client().get(web, headers=resume)
    assert (rest.status_code, archive.content[:half] + rest.content) == (206, archive.content)


def test_figures_are_made_again_and_faces_where_they_were_asked_for(
    boss: Photographer, anna: Photographer, gallery: str
) -> None:
    searched = photos(anna, gallery)[0]["id"]
    anna.call("POST", "/analyses", json={"photo_id": searched})
    run_jobs()
    sql("UPDATE analyses SET result = result || '{\"sharpness\": 1999.0}'")
    renditions = made_of(gallery)
    begun = begin(boss, gallery, "analyses")
    # The walk, and after its first photo one search for faces, which it makes room for.
    for _ in range(4):
        sql("UPDATE jobs SET run_after = now() WHERE status = 'queued'")
        run_jobs()
    assert state(boss, begun["id"])["status"] == "completed"
    rows = sql(
        "SELECT a.photo_id::text, a.status, a.result->>'sharpness', a.result ? 'faces' FROM analyses a"
        " JOIN photos p ON p.id = a.photo_id WHERE p.gallery_id = :id", id=gallery,
    )  # fmt: skip
    assert len(rows) == 3
    for photo_id, status, sharpness, faces in rows:
        assert (status, faces) == ("ready", photo_id == searched)
        assert float(sharpness) < 1999
    assert made_of(gallery) == renditions


def test_an_analysis_that_is_under_way_is_not_said_to_be_complete(
    boss: Photographer, anna: Photographer, gallery: str
) -> None:
    photo = photos(anna, gallery)[0]["id"]
    asked = anna.call("POST", "/analyses", json={"photo_id": photo}).json()
    assert (asked["status"], asked["completed_at"]) == ("processing", None)
    sql("UPDATE jobs SET run_after = now() + interval '1 minute' WHERE subject_id = :id", id=asked["id"])
    begun = begin(boss, gallery)
    offered(begun["id"])
    assert state(boss, begun["id"])["status"] == "completed"
    meanwhile = anna.call("GET", f"/analyses/{asked['id']}").json()
    assert (meanwhile["status"], meanwhile["completed_at"]) == ("processing", None)
    due(asked["id"])
    run_jobs()
    done = anna.call("GET", f"/analyses/{asked['id']}").json()
    assert done["status"] == "ready"
    assert done["completed_at"]


def test_a_second_call_joins_the_first_and_another_kind_does_not(boss: Photographer, gallery: str) -> None:
    ids = {one["id"] for one in in_parallel(8, lambda _: begin(boss, gallery), threads=8)}
    assert len(ids) == 1
    assert begin(boss, gallery, "clean")["id"] not in ids
    assert run_jobs() == 2
    assert begin(boss, gallery)["id"] not in ids
    run_jobs()


def test_a_damaged_original_is_told_and_its_photo_keeps_what_it_has(
    boss: Photographer, anna: Photographer, gallery: str
) -> None:
    gone, changed, sound = (photo["id"] for photo in photos(anna, gallery))
    before = made_of(gallery)
    storage().delete([f"originals/{gallery}/{gone}"])
    storage().write(f"originals/{gallery}/{changed}", jpeg(colour=(1, 1, 1)), "image/jpeg")
    begun = begin(boss, gallery)
    assert run_jobs() == 1
    done = state(boss, begun["id"])
    assert (done["status"], done["done"], done["failed"]) == ("completed", 3, 2)
    assert [one["photo_id"] for one in done["failures"]] == [gone, changed]
    assert "no longer in the storage" in done["failures"][0]["reason"]
    assert "not the one that was uploaded" in anna.photo(changed)["damage_reason"]
    assert [bool(anna.photo(one)["damaged_at"]) for one in (gone, changed, sound)] == [True, True, False]
    assert {photo["status"] for photo in photos(anna, gallery)} == {"ready"}
    assert made_of(gallery) == before


def test_a_picture_that_is_refused_now_is_named_and_not_damaged(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: bytes, __: str) -> Rendered:
        raise UnreadablePicture("Too new.")

    monkeypatch.setattr(child, "render", refuse)
    begun = begin(boss, gallery)
    run_jobs()
    done = state(boss, begun["id"])
    assert (done["status"], done["failed"], done["failures"][0]["reason"]) == ("completed", 3, "Too new.")
    assert not any(photo["damaged_at"] for photo in photos(anna, gallery))


def test_uploads_come_first(boss: Photographer, anna: Photographer, gallery: str) -> None:
    """Between any two photos of the walk, a waiting upload is let past."""
    begun = begin(boss, gallery)
    upload = anna.upload(gallery)
    offered(begun["id"])
    assert state(boss, begun["id"])["done"] == 0
    [(status, attempts, later)] = sql(
        "SELECT status, attempts, run_after > now() FROM jobs WHERE subject_id = :id", id=begun["id"]
    )
    assert (status, attempts, later) == ("queued", 0, True)
    run_jobs()
    assert anna.photo(upload)["status"] == "ready"
    sql("UPDATE jobs SET run_after = now() WHERE status = 'queued'")
    run_jobs()
    assert state(boss, begun["id"])["status"] == "completed"


def test_a_walk_goes_in_slices(boss: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = begin(boss, gallery)
    moments = iter([0.0, 0.0, 99.0] * 10)
    monkeypatch.setattr(walk, "monotonic", lambda: next(moments))
    seen = []
    for _ in range(4):
        offered(begun["id"])
        seen.append(state(boss, begun["id"])["done"])
    assert seen == [1, 2, 3, 3]
    assert state(boss, begun["id"])["status"] == "completed"


def test_progress_never_exceeds_the_total_whatever_comes_and_goes(
    boss: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(boss, gallery)
    seen: list[tuple[int, int]] = []

    def render_while_photos_come(data: bytes, content_type: str) -> Rendered:
        # Ready at once, and in front of the walk.
        if len(seen) < 2:
            sql(
                "INSERT INTO photos (id, gallery_id, filename, content_type, file_size, s3_key, position, status, etag,"
                " sha256) SELECT cast(:new AS uuid), gallery_id, 'more.jpg', content_type, file_size, s3_key,"
                " position + 1, status, etag, sha256 FROM photos WHERE gallery_id = :id ORDER BY position DESC LIMIT 1",
                new=f"ffffffff-ffff-4fff-bfff-ff{uuid.uuid4().hex[:10]}",
                id=gallery,
            )
        now = state(boss, begun["id"])
        seen.append((now["done"], now["total"]))
        return RENDER(data, content_type)

    monkeypatch.setattr(child, "render", render_while_photos_come)
    assert run_jobs() == 1
    done = state(boss, begun["id"])
    assert (done["status"], done["done"], done["total"], done["failed"]) == ("completed", 5, 5, 0)
    assert [one[0] for one in seen] == [0, 1, 2, 3, 4]
    assert all(one <= total for one, total in seen)
    [(progress,)] = sql("SELECT progress FROM jobs WHERE subject_id = :id", id=begun["id"])
    assert progress == 1


def test_the_total_follows_photos_that_go(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(boss, gallery)
    moments = iter([0.0, 0.0, 99.0] * 10)
    monkeypatch.setattr(walk, "monotonic", lambda: next(moments))
    offered(begun["id"])
    assert anna.call("DELETE", f"/photos/{photos(anna, gallery)[-1]['id']}").status_code == 204
    seen = []
    for _ in range(2):
        offered(begun["id"])
        now = state(boss, begun["id"])
        seen.append((now["status"], now["done"], now["total"]))
    assert seen == [("running", 2, 2), ("completed", 2, 2)]


def test_a_killed_worker_loses_the_photo_at_hand_and_no_more(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(boss, gallery)
    seen: list[bytes] = []

    def die_at_the_second(data: bytes, content_type: str) -> Rendered:
        seen.append(data)
        if len(seen) == 2:
            raise Killed
        return RENDER(data, content_type)

    monkeypatch.setattr(child, "render", die_at_the_second)
    with pytest.raises(Killed):
        offered(begun["id"])
    half = state(boss, begun["id"])
    assert (half["status"], half["done"]) == ("running", 1)
    offered(begun["id"])  # its lease still runs
    assert len(seen) == 2
    sql("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE subject_id = :id", id=begun["id"])
    assert run_jobs() == 1
    assert state(boss, begun["id"])["done"] == 3
    assert len(seen) == 4
    assert len(photos(anna, gallery)) == 3


def outdated(gallery: str) -> list[str]:
    """The gallery's photos whose clean file is that of `outdate`."""
    rows = sql(
        "SELECT c.photo_id FROM clean_originals c JOIN photos p ON p.id = c.photo_id"
        " WHERE p.gallery_id = :id AND c.sha256 = 'old'", id=gallery,
    )  # fmt: skip
    return [str(photo_id) for (photo_id,) in rows]


def outdate(gallery: str) -> None:
    sql(
        "UPDATE clean_originals SET sha256 = 'old' WHERE photo_id IN (SELECT id FROM photos WHERE gallery_id = :id)",
        id=gallery,
    )


@pytest.mark.parametrize("position", [-10, 10])
def test_photos_that_are_moved_meanwhile_are_walked_past_once(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    for place, photo in zip((0, 2, 1), photos(anna, gallery), strict=True):
        assert anna.call("PATCH", f"/photos/{photo['id']}", json={"position": place}).status_code == 200
    outdate(gallery)
    begun = begin(boss, gallery, "clean")
    moments = iter([0.0, 0.0, 99.0] * 10)
    monkeypatch.setattr(walk, "monotonic", lambda: next(moments))
    for left in (2, 1, 0, 0):
        offered(begun["id"])
        assert len(outdated(gallery)) == left
        # What is left goes before what is done, or what is done behind what is left.
        for photo in photos(anna, gallery):
            if (photo["id"] in outdated(gallery)) is (position < 0):
                assert anna.call("PATCH", f"/photos/{photo['id']}", json={"position": position}).status_code == 200
    done = state(boss, begun["id"])
    assert (done["status"], done["done"], done["total"]) == ("completed", 3, 3)


@pytest.mark.parametrize("left", [0, 5])
@pytest.mark.parametrize("past", [0, 1])
def test_a_walk_that_went_by_positions_begins_again(
    boss: Photographer, anna: Photographer, gallery: str, left: int, past: int
) -> None:
    """Which photos it has passed, or left out, cannot be told from where it is."""
    last = photos(anna, gallery)[-1]
    begun = begin(boss, gallery, "clean")
    outdate(gallery)
    if past:
        sql(
            "UPDATE reprocessings SET status = 'running', done = 1, failed = 1, at_position = :position,"
            " at_id = cast(:photo AS uuid), failures = jsonb_build_array(jsonb_build_object("
            "'photo_id', cast(:photo AS uuid), 'reason', 'Too new.')) WHERE id = :id",
            position=last["position"], photo=last["id"], id=begun["id"],
        )  # fmt: skip
    sql(
        "UPDATE jobs SET payload = jsonb_build_object('position', 7, 'photo_id', cast(:photo AS uuid))"
        " WHERE subject_id = :id", photo=last["id"], id=begun["id"],
    )  # fmt: skip
    attempts(begun["id"], left=left)
    done = at_the_end(boss, begun["id"])
    assert (done["status"], done["done"], done["total"], done["failures"]) == ("completed", 3, 3, [])
    assert outdated(gallery) == []


def test_a_photo_that_kills_every_worker_is_passed_over(boss: Photographer, anna: Photographer, gallery: str) -> None:
    begun = begin(boss, gallery)
    sql(
        "UPDATE jobs SET status = 'running', attempts = max_attempts, lease_until = now() - interval '1 second'"
        " WHERE subject_id = :id",
        id=begun["id"],
    )
    run_jobs()
    done = state(boss, begun["id"])
    assert (done["status"], done["done"], done["failed"]) == ("completed", 3, 1)
    assert done["failures"] == [{"photo_id": photos(anna, gallery)[0]["id"], "reason": walk.NOT_MADE}]


@pytest.mark.parametrize("error", [UnreadablePicture("Too new."), RuntimeError("once more than that"), Killed()])
def test_the_photo_that_failed_is_the_one_passed_over_though_it_was_deleted(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    first, *others = (photo["id"] for photo in photos(anna, gallery))
    begun = begin(boss, gallery)
    made: list[bytes] = []
    attempts(begun["id"], left=1)

    def fail_the_first(data: bytes, content_type: str) -> Rendered:
        if anna.call("DELETE", f"/photos/{first}").status_code == 204:
            raise error
        made.append(data)
        return RENDER(data, content_type)

    monkeypatch.setattr(child, "render", fail_the_first)
    with contextlib.suppress(Killed):
        offered(begun["id"])
    done = at_the_end(boss, begun["id"])
    assert (done["status"], done["done"], done["failed"], len(made)) == ("completed", 3, 1, len(others))
    assert [one["photo_id"] for one in done["failures"]] == [first]


def test_attempts_at_a_photo_that_was_deleted_do_not_count_against_the_next(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(boss, gallery)
    fail = fails(monkeypatch, RuntimeError("an accident"), 1, 2)
    attempts(begun["id"], left=2)
    offered(begun["id"])
    assert anna.call("DELETE", f"/photos/{photos(anna, gallery)[0]['id']}").status_code == 204
    due(begun["id"])
    offered(begun["id"])
    done = at_the_end(boss, begun["id"])
    assert (done["status"], done["done"], done["failed"], len(fail)) == ("completed", 2, 0, 4)


def test_after_a_photo_that_killed_every_worker_the_next_has_all_its_attempts(
    boss: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(boss, gallery)
    fails(monkeypatch, RuntimeError("an accident"), 1)
    attempts(begun["id"], left=0)
    offered(begun["id"])
    assert state(boss, begun["id"])["failed"] == 1
    done = at_the_end(boss, begun["id"])
    assert (done["status"], done["done"], done["failed"]) == ("completed", 3, 1)


def test_after_a_photo_that_is_refused_at_its_last_attempt_the_next_has_all_its_attempts(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(boss, gallery)
    gone = photos(anna, gallery)[0]["id"]
    storage().delete([f"originals/{gallery}/{gone}"])
    fails(monkeypatch, RuntimeError("an accident"), 1)
    attempts(begun["id"], left=1)
    offered(begun["id"])
    assert state(boss, begun["id"])["failed"] == 1
    done = at_the_end(boss, begun["id"])
    assert (done["status"], done["done"], [one["photo_id"] for one in done["failures"]]) == ("completed", 3, [gone])


@pytest.mark.parametrize("left", [0, 1])
def test_a_store_that_is_away_for_a_moment_after_a_photo_was_passed_over_ends_nothing(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    begun = begin(boss, gallery)
    if left:
        storage().delete([f"originals/{gallery}/{photos(anna, gallery)[0]['id']}"])
    fails(monkeypatch, StorageUnavailable(), 1)
    attempts(begun["id"], left=left)
    offered(begun["id"])
    half = state(boss, begun["id"])
    assert (half["status"], half["done"], half["failed"]) == ("running", 1, 1)
    done = at_the_end(boss, begun["id"])
    assert (done["status"], done["done"], done["failed"]) == ("completed", 3, 1)


def test_a_store_that_is_away_ends_the_walk_and_marks_no_photo(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(boss, gallery)

    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "read", away)
        for _ in range(5):
            sql("UPDATE jobs SET run_after = now() WHERE subject_id = :id", id=begun["id"])
            assert run_jobs() == 1
    failed = state(boss, begun["id"])
    assert (failed["status"], failed["error"], failed["failed"]) == ("failed", walk.AWAY, 0)
    assert not any(photo["damaged_at"] for photo in photos(anna, gallery))
    again = begin(boss, gallery)
    assert again["id"] != begun["id"]
    run_jobs()
    assert state(boss, again["id"])["status"] == "completed"


def test_an_overtaken_worker_keeps_nothing(boss: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = begin(boss, gallery)

    def render_too_slowly(data: bytes, content_type: str) -> Rendered:
        monkeypatch.setattr(child, "render", RENDER)
        sql("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE subject_id = :id", id=begun["id"])
        assert run_jobs() == 1
        return dataclasses.replace(RENDER(data, content_type), width=1)

    monkeypatch.setattr(child, "render", render_too_slowly)
    offered(begun["id"])
    done = state(boss, begun["id"])
    assert (done["status"], done["done"]) == ("completed", 3)
    assert sql("SELECT count(*) FROM photos WHERE gallery_id = :id AND width = 1", id=gallery) == [(0,)]


def test_a_photo_deleted_at_that_moment_leaves_nothing_behind(
    boss: Photographer, anna: Photographer, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = photos(anna, gallery)[0]["id"]
    storage().delete([keys.rendition(uuid.UUID(gallery), uuid.UUID(first), "thumb")])
    begun = begin(boss, gallery)

    deleted: list[str] = []

    def render_then_delete(data: bytes, content_type: str) -> Rendered:
        if not deleted:
            deleted.append(first)
            assert anna.call("DELETE", f"/photos/{first}").status_code == 204
            with product.running("sweep"):
                sweep()  # its files may be written at this moment
            assert sql("SELECT count(*) FROM photos WHERE id = :id", id=first) == [(1,)]
        return RENDER(data, content_type)

    monkeypatch.setattr(child, "render", render_then_delete)
    run_jobs()
    assert state(boss, begun["id"])["status"] == "completed"
    sweep()
    assert not any(storage().head(key) for key in keys.of_photo(uuid.UUID(gallery), uuid.UUID(first)))
    assert sql("SELECT count(*) FROM photos WHERE id = :id", id=first) == [(0,)]


def test_a_gallery_deleted_meanwhile_ends_the_walk(boss: Photographer, anna: Photographer, gallery: str) -> None:
    begun = begin(boss, gallery)
    assert anna.call("DELETE", f"/galleries/{gallery}").status_code == 204
    run_jobs()
    assert state(boss, begun["id"])["status"] == "cancelled"
    problem(boss.call("POST", f"/admin/galleries/{gallery}/reprocess", json={"what": "clean"}), 404, "not_found")
    sweep()
    assert sql("SELECT count(*) FROM galleries WHERE id = :id", id=gallery) == [(0,)]


def test_for_administrators_and_sound_requests_only(boss: Photographer, anna: Photographer, gallery: str) -> None:
    problem(anna.call("POST", f"/admin/galleries/{gallery}/reprocess", json={"what": "clean"}), 403, "forbidden")
    problem(anna.call("GET", f"/admin/reprocessings/{uuid.uuid4()}"), 403, "forbidden")
    problem(boss.call("GET", f"/admin/reprocessings/{uuid.uuid4()}"), 404, "not_found")
    for bad in ({"what": "everything"}, {}, {"what": "clean", "more": 1}):
        problem(boss.call("POST", f"/admin/galleries/{gallery}/reprocess", json=bad), 422, "invalid")
    with transaction() as session:
        assert job_queries.due(session, 10) == []
