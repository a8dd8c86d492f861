"""Workers that die, lose their lease, meet a failing store or a photo that is deleted: the photo ends well, once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from functions.process_photo.app import handler
from safelight import storage, sweep
from safelight.errors import StorageUnavailable
from safelight.photos.processing import GAVE_UP
from safelight.pictures import child
from safelight.pictures.errors import UnreadablePicture
from safelight.storage.store import Storage
from tests import product
from tests.api import Photographer, jpeg, post_form, run_jobs, sqs_event
from tests.journeys.worksite import (
    assert_ready_once,
    bucket,
    count_ready,
    die,
    dying_worker,
    expire_leases,
    jobs_of,
    sql,
)

pytestmark = pytest.mark.usefixtures("api")

# Every wall on the way of one photo: three commits before the work (the arrival, the claim, the look at the photo) and
# one after it.
PASSED = [
    *("before commit", "after commit") * 3,
    *("before read", "after read"),
    *("before render", "during render", "after render"),
    *("before copy", "before head", "after head", "after copy"),
    *("before write", "after write") * 4,
    *("before commit", "after commit"),
]


def arrived(anna: Photographer, gallery_id: str, data: bytes) -> str:
    """An upload that is in the bucket and of which nobody has spoken yet; the photo's id."""
    made = anna.announce(gallery_id, data)
    assert post_form(made["upload"], data).status_code == 204
    return str(made["photo"]["id"])


def deliver(*photo_ids: str) -> list[Any]:
    """The queues bring the records of these uploads, and as many wake-ups; what the worker could not do."""
    arrivals = [f"incoming/{photo_id}" for photo_id in photo_ids]
    wake_ups = [f"jobs/process_photo/{uuid.uuid4()}" for _ in photo_ids]
    failures: list[Any] = handler(sqs_event(*arrivals, *wake_ups), None)["batchItemFailures"]
    return failures


def test_a_worker_killed_at_any_step() -> None:
    count_ready()
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photos: dict[str, bytes] = {}
    places: list[str] = []
    with dying_worker() as worker:
        while True:
            data = jpeg(colour=(len(photos), 90, 30))
            photo_id = arrived(anna, gallery, data)
            photos[photo_id] = data
            died = die(worker, f"incoming/{photo_id}", len(photos))
            # So that the next worker, who claims what is due, finds its own photo alone.
            sql("UPDATE jobs SET run_after = now() + interval '1 hour' WHERE status = 'queued'")
            if died is None:
                break
            places.append(died)
    assert places == PASSED

    # The queue delivers the dead workers' records again, at first while the leases still run: nothing may happen then.
    ready = {photo_id for photo_id in photos if anna.photo(photo_id)["status"] == "ready"}
    assert ready == set(list(photos)[-2:])
    held = sql("SELECT subject_id, attempts, lease_until FROM jobs WHERE status = 'running'")
    assert len(held) == len(PASSED) - 4
    assert deliver(*[subject for subject, *_ in held]) == []
    assert sql("SELECT subject_id, attempts, lease_until FROM jobs WHERE status = 'running'") == held

    # Some records come again, the others never: the sweep finds those uploads in the bucket.
    expire_leases()
    assert deliver(*list(photos)[::2]) == []
    sql("UPDATE photos SET updated_at = now() - interval '3 minutes' WHERE status = 'pending'")
    sweep.run()
    run_jobs()
    for photo_id, data in photos.items():
        assert_ready_once(anna.photo(photo_id), data)

    # Once more for everybody, late: nothing changes, and nothing is left over.
    assert deliver(*photos) == []
    sweep.run()
    for photo_id, data in photos.items():
        assert_ready_once(anna.photo(photo_id), data)
    assert len(bucket()) == 5 * len(photos)
    assert not any(key.startswith("incoming/") for key in bucket())


def test_a_photo_that_kills_every_worker_is_given_up() -> None:
    anna = Photographer.registered()
    photo_id = anna.upload(anna.gallery()["id"])
    [(job_id,)] = sql("SELECT id FROM jobs WHERE subject_id = :id", id=photo_id)
    with dying_worker() as worker:
        for _ in range(5):
            assert die(worker, f"jobs/process_photo/{job_id}", 7) == "before render"
            expire_leases()
        assert die(worker, f"jobs/process_photo/{job_id}", 7) is None
    photo = anna.photo(photo_id)
    assert (photo["status"], photo["failure_reason"]) == ("failed", GAVE_UP)
    assert [status for status, _ in jobs_of(photo_id)] == ["failed"]
    assert run_jobs() == 0
    sweep.run()
    assert bucket() == set()


def overtaken(monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any]) -> list[int]:
    """The first worker that has its picture loses its lease to another, which finishes; then the first goes on."""
    real, ran = child.render, []

    def render(data: bytes, content_type: str) -> Any:
        monkeypatch.setattr(child, "render", real)
        rendered = real(data, content_type)
        expire_leases()
        ran.append(run_jobs())
        return then() or rendered

    monkeypatch.setattr(child, "render", render)
    return ran


def refuse() -> None:
    """What a worker does that finds the picture bad."""
    raise UnreadablePicture("This photo is damaged.")


def stumble() -> None:
    """What a worker does that meets a defect."""
    raise RuntimeError("out of luck")


@pytest.mark.parametrize("then", [lambda: None, refuse, stumble], ids=["finish", "refuse", "stumble"])
def test_a_worker_that_lost_its_lease_changes_nothing(monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any]) -> None:
    count_ready()
    anna = Photographer.registered()
    data = jpeg()
    photo_id = anna.upload(anna.gallery()["id"], data)
    others = overtaken(monkeypatch, then)
    run_jobs()
    assert others == [1]
    assert_ready_once(anna.photo(photo_id), data)
    assert jobs_of(photo_id) == [("completed", 2)]


@pytest.mark.parametrize("method", ["read", "copy", "write"])
def test_a_store_that_fails_after_it_has_done_the_work(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """A 503, or a time-out: the worker cannot know that the bytes were written."""
    count_ready()
    anna = Photographer.registered()
    data = jpeg()
    photo_id = anna.upload(anna.gallery()["id"], data)
    real = getattr(Storage, method)
    failures = [1, 2, 4]  # the calls that fail, counted over all attempts
    calls = 0

    def flaky(self: Storage, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        result = real(self, *arguments, **options)
        if calls in failures:
            raise StorageUnavailable
        return result

    monkeypatch.setattr(Storage, method, flaky)
    for attempt in range(1, 4):
        assert run_jobs() == 1
        photo = anna.photo(photo_id)
        if photo["status"] == "ready":
            break
        assert photo["status"] == "processing"
        assert jobs_of(photo_id) == [("queued", attempt)]
        expire_leases()
    run_jobs()
    monkeypatch.undo()
    assert_ready_once(anna.photo(photo_id), data)
    sweep.run()
    assert len(bucket()) == 5


def test_a_store_that_never_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    photo_id = anna.upload(anna.gallery()["id"])

    def unavailable(*_: Any, **__: Any) -> Any:
        raise StorageUnavailable

    monkeypatch.setattr(Storage, "copy", unavailable)
    attempts = 0
    while jobs_of(photo_id)[0][0] == "queued":
        assert run_jobs() == 1
        expire_leases()
        attempts += 1
        assert attempts <= 5
    assert jobs_of(photo_id) == [("failed", 5)]
    photo = anna.photo(photo_id)
    assert (photo["status"], photo["failure_reason"]) == ("failed", GAVE_UP)
    sweep.run()
    assert bucket() == set()


@pytest.mark.parametrize("what", ["photo", "gallery"])
@pytest.mark.parametrize("dies", [False, True], ids=["finishes", "dies"])
def test_deleted_while_it_is_processed(monkeypatch: pytest.MonkeyPatch, what: str, *, dies: bool) -> None:
    anna = Photographer.registered()
    gallery_id = anna.gallery()["id"]
    photo_id = anna.upload(gallery_id)
    real = Storage.write
    deleted: list[int] = []

    class Died(BaseException):
        """The worker is gone: nothing of it runs any more."""

    def write(self: Storage, *arguments: Any) -> Any:
        if not deleted:
            path = f"/photos/{photo_id}" if what == "photo" else f"/galleries/{gallery_id}"
            deleted.append(anna.call("DELETE", path).status_code)
            # While a worker may still write, nothing is erased: it would come back.
            with product.running("sweep"):
                sweep.run()
        result = real(self, *arguments)
        if dies:
            raise Died
        return result

    monkeypatch.setattr(Storage, "write", write)
    try:
        run_jobs()
    except Died:
        assert dies
        assert jobs_of(photo_id) == [("running", 1)]
        expire_leases()
        run_jobs()
    assert deleted == [204]
    assert [status for status, _ in jobs_of(photo_id)] == ["completed"]
    assert anna.call("GET", f"/photos/{photo_id}").status_code == 404
    assert len(bucket()) > 1
    sweep.run()
    assert bucket() == set()
    assert sql("SELECT count(*) FROM photos WHERE id = :id", id=photo_id) == [(0,)]
    assert storage.storage().head(f"originals/{gallery_id}/{photo_id}") is None
