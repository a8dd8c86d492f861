"""Archives that cannot be built: the photo is named and reported, nothing stays in the bucket."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from safelight import clock, storage, sweep
from safelight.archives import worker
from safelight.db.engine import transaction
from safelight.jobs import service as jobs
from safelight.photos.damage import REASONS
from tests import product
from tests.api import client
from tests.claims import build_part
from tests.core.archives.building import due, streamed
from tests.functions.support import somebody_waits

pytestmark = pytest.mark.usefixtures("api")


def key_of(name: str) -> str:
    with transaction() as session:
        return str(session.scalar(text("SELECT s3_key FROM photos WHERE filename = :name"), {"name": name}))


def known_as(key: str, data: bytes) -> None:
    """The object is other than it was, and the database knows its new ETag, but not its new length."""
    etag = storage.storage().write(key, data, "image/jpeg").etag
    with transaction() as session:
        session.execute(text("UPDATE photos SET etag = :etag WHERE s3_key = :key"), {"etag": etag, "key": key})


def missing(key: str, _data: bytes) -> None:
    storage.storage().delete([key])


def changed(key: str, data: bytes) -> None:
    storage.storage().write(key, bytes(len(data)), "image/jpeg")


def truncated(key: str, data: bytes) -> None:
    known_as(key, data[:-1000])


def grown(key: str, data: bytes) -> None:
    known_as(key, data + b"more")


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (missing, "object_missing"),
        (changed, "object_changed"),
        (truncated, "object_truncated"),
        (grown, "object_changed"),
    ],
)
def test_a_broken_photo_ends_the_archive_and_is_named_and_reported(
    share: str, happens: Callable[[str, bytes], None], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = key_of("5.jpg")
    data, _ = storage.storage().read(key)
    happens(key, data)
    visitor = client()
    assert visitor.get(share).status_code == 202
    for job_id in due():
        build_part(job_id)
    answer = visitor.get(share)
    assert (answer.status_code, answer.json()["code"]) == (409, "archive_not_built")
    assert "“5.jpg”" in answer.json()["detail"]
    assert any(getattr(record, "photo", "") == "5.jpg" for record in caplog.records)
    with transaction() as session:
        told = session.execute(text("SELECT filename, damage_reason FROM photos WHERE damaged_at IS NOT NULL")).all()
    assert [tuple(row) for row in told] == [("5.jpg", REASONS[reason])]
    assert list(storage.multipart().uploads("archives/")) == []
    assert not any(key.endswith(".zip") for key in storage.storage().keys("archives/"))


def test_a_failed_archive_is_tried_again_although_somebody_keeps_asking(
    share: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, key = client(), key_of("5.jpg")
    data, _ = storage.storage().read(key)
    visitor.get(share)
    storage.storage().delete([key])
    with transaction() as session:  # begun long ago
        session.execute(text("UPDATE archives SET used_at = now() - interval '1 hour'"))
    for job_id in due():
        build_part(job_id)
    assert visitor.get(share).status_code == 409  # the two minutes begin with the failure
    storage.storage().write(key, data, "image/jpeg")
    for _ in range(5):
        with transaction() as session:
            session.execute(text("UPDATE archives SET used_at = used_at - interval '20 seconds'"))
        assert visitor.get(share).status_code == 409
    with transaction() as session:
        session.execute(text("UPDATE archives SET used_at = used_at - interval '20 seconds'"))
    assert visitor.get(share).status_code == 202
    for job_id in due():
        build_part(job_id)
    assert visitor.get(share).status_code == 307
    assert len(streamed(share, monkeypatch)) > 12 * len(data)


def build(job_ids: list[uuid.UUID]) -> None:
    for job_id in job_ids:
        build_part(job_id)


def build_what_is_due() -> None:
    build(due())


def completed_slowly(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """From now on a completion says by the first event that it has begun, and waits for the second."""
    complete, completing, waited = storage.multipart().complete, threading.Event(), threading.Event()

    def slowly(*arguments: object) -> None:
        completing.set()
        assert waited.wait(60)
        complete(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(storage.multipart(), "complete", slowly)
    return completing, waited


def test_nobody_waits_for_the_completion(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = client()
    visitor.get(share)
    completing, asked = completed_slowly(monkeypatch)
    with ThreadPoolExecutor(2) as threads:
        building = threads.submit(build_what_is_due)
        try:
            assert completing.wait(60)
            answer = threads.submit(visitor.get, share).result(30)
        finally:
            asked.set()
        building.result(60)
    assert (answer.status_code, answer.json()["progress"]) == (202, 1.0)
    assert visitor.get(share).status_code == 307


def dies(*_: object) -> None:
    raise SystemExit


def test_an_archive_that_is_being_completed_is_not_called_broken(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client().get(share)
    lost, *others = due()
    with monkeypatch.context() as patch:
        patch.setattr(worker, "_finish", dies)  # right after its part was brought
        with pytest.raises(SystemExit):
            build_part(lost)
    with transaction() as session:
        spent = "UPDATE jobs SET attempts = max_attempts, lease_until = now() - interval '1 second' WHERE id = :id"
        session.execute(text(spent), {"id": lost})
    completing, waited = completed_slowly(monkeypatch)
    with ThreadPoolExecutor(2) as threads:
        building = threads.submit(build, others)
        try:
            assert completing.wait(60)
            giving_up = threads.submit(build_part, lost)
            until = time.monotonic() + 30
            while not somebody_waits():
                assert time.monotonic() < until
                time.sleep(0.01)
        finally:
            waited.set()
        building.result(60)
        giving_up.result(60)
    assert client().get(share).status_code == 307
    with transaction() as session:
        ended = session.execute(text("SELECT status, error FROM jobs WHERE id = :id"), {"id": lost}).one()
    assert tuple(ended) == ("failed", "every attempt ended with its worker")


def test_the_sweep_spares_an_upload_whose_archive_is_not_committed_yet(
    share: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[object] = []
    enqueue = jobs.enqueue_all

    def swept_before(*arguments: Any) -> object:
        with product.running("sweep"):
            sweep.run()  # sees the upload, and not the row
        found.extend(storage.multipart().uploads("archives/"))
        return enqueue(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "enqueue_all", swept_before)
        assert client().get(share).status_code == 202
    assert len(found) == 1
    for job_id in due():
        build_part(job_id)
    assert client().get(share).status_code == 307


def test_the_sweep_throws_away_old_uploads_that_belong_to_nothing(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client().get(share).status_code == 202
    [wanted] = storage.multipart().uploads("archives/")
    lost = storage.multipart().begin("archives/lost.zip", "application/zip")
    sweep.run()
    assert set(storage.multipart().uploads("archives/")) == {wanted, ("archives/lost.zip", lost)}
    later = clock.now() + 2 * sweep.UPLOAD_UNCLAIMED
    monkeypatch.setattr(sweep, "now", lambda: later)
    sweep.run()
    assert list(storage.multipart().uploads("archives/")) == [wanted]
