"""From the bucket to `ready`: bad uploads fail with a reason, and every order of events leads to the same state."""

from __future__ import annotations

import base64
import dataclasses
import random
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from functions.process_photo.app import handler
from safelight.photos import keys, processing, upload
from safelight.pictures import child
from safelight.pictures.types import Rendered
from safelight.storage import storage
from tests import product
from tests.api import Photographer, deliver, jpeg, post_form, run_jobs, sqs_event
from tests.functions.support import in_parallel, sql

pytestmark = pytest.mark.usefixtures("shared_api")

FINE: dict[str, Any] = {"batchItemFailures": []}


def put(photo_id: str, data: bytes) -> None:
    """Bytes in the bucket, whatever was announced: what the bucket refuses today another one may let pass."""
    storage().write(f"incoming/{photo_id}", data, "image/jpeg")


def jobs_of(photo_id: str) -> list[tuple[Any, ...]]:
    return sql("SELECT status, attempts FROM jobs WHERE subject_id = :id", id=photo_id)


DATA = jpeg()
RENDER = child.render
CRC = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()


@pytest.mark.parametrize(
    ("announced", "arrived", "reason"),
    [
        ({}, DATA[:-10], "bytes were announced but"),
        ({}, DATA + b"more", "bytes were announced but"),
        ({"crc32": CRC}, DATA[:-2] + b"\xff\xd8", "not the ones that were announced"),
        ({}, b"GIF89a" + bytes(len(DATA) - 6), ""),
        ({}, b"<svg>" + bytes(len(DATA) - 5), ""),
        ({}, DATA[:100] + bytes(len(DATA) - 100), ""),
        ({"content_type": "image/png"}, DATA, ""),
    ],
    ids=["short", "long", "other bytes", "a GIF", "an SVG", "half a JPEG", "a JPEG said to be a PNG"],
)
def test_an_upload_that_is_not_what_was_announced_fails_with_a_plain_reason(
    announced: dict[str, str], arrived: bytes, reason: str
) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photo_id = anna.announce(gallery, DATA, **announced)["photo"]["id"]
    put(photo_id, arrived)
    deliver(photo_id)
    shown = anna.photo(photo_id)
    assert shown["status"] == "failed"
    assert reason in shown["failure_reason"]
    assert shown["failure_reason"].endswith(".")
    assert not any(word in shown["failure_reason"] for word in ("Error", "Exception", "Traceback", "incoming/", "vips"))
    assert jobs_of(photo_id) == [("failed", 1)]
    assert not list(storage().keys(f"originals/{gallery}/"))
    assert run_jobs() == 0


def test_one_bad_photo_changes_nothing_for_the_others() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    ids = [anna.announce(gallery, DATA)["photo"]["id"] for _ in range(3)]
    for photo_id, data in zip(ids, (DATA, b"x" * len(DATA), DATA), strict=True):
        put(photo_id, data)
    deliver(*ids)
    assert [anna.photo(photo_id)["status"] for photo_id in ids] == ["ready", "failed", "ready"]


def test_an_object_replaced_between_check_and_copy_is_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photo_id = anna.announce(gallery, DATA)["photo"]["id"]
    put(photo_id, DATA)

    def render_then_replace(data: bytes, content_type: str) -> Rendered:
        rendered = RENDER(data, content_type)
        put(photo_id, jpeg(colour=(1, 2, 3)))
        return rendered

    monkeypatch.setattr(child, "render", render_then_replace)
    deliver(photo_id)
    assert "replaced while it was being checked" in anna.photo(photo_id)["failure_reason"]
    assert not list(storage().keys(f"originals/{gallery}/{photo_id}"))


def test_a_photo_deleted_while_it_is_processed_leaves_nothing_after_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.sweep import run as sweep

    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photo_id = anna.announce(gallery, DATA)["photo"]["id"]
    put(photo_id, DATA)

    def render_then_delete(data: bytes, content_type: str) -> Rendered:
        assert anna.call("DELETE", f"/photos/{photo_id}").status_code == 204
        with product.running("sweep"):
            assert sweep().erased == 0  # a worker is still writing
        return RENDER(data, content_type)

    monkeypatch.setattr(child, "render", render_then_delete)
    deliver(photo_id)
    sweep()
    stored = keys.of_photo(uuid.UUID(gallery), uuid.UUID(photo_id))
    assert not any(storage().head(key) for key in stored)
    assert sql("SELECT count(*) FROM photos WHERE id = :id", id=photo_id) == [(0,)]


def test_a_worker_that_was_overtaken_keeps_nothing_of_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    photo_id = anna.upload(anna.gallery()["id"])

    def render_too_slowly(data: bytes, content_type: str) -> Rendered:
        monkeypatch.setattr(child, "render", RENDER)
        sql("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE subject_id = :id", id=photo_id)
        assert run_jobs() == 1
        sql("UPDATE photos SET title = 'by the second' WHERE id = :id", id=photo_id)
        return dataclasses.replace(RENDER(data, content_type), width=1)

    monkeypatch.setattr(child, "render", render_too_slowly)
    deliver(photo_id)
    shown = anna.photo(photo_id)
    assert (shown["status"], shown["width"], shown["title"]) == ("ready", 64, "by the second")
    assert jobs_of(photo_id) == [("completed", 2)]


@pytest.mark.parametrize("seed", range(4))
def test_every_order_of_events_leads_to_the_same_state(seed: int) -> None:
    """The bucket's event, its duplicates, and `complete`, in any order and all at once."""
    anna = Photographer.registered()
    made = anna.announce(anna.gallery()["id"], DATA)
    photo_id = made["photo"]["id"]
    event = sqs_event(f"incoming/{photo_id}", f"incoming/{photo_id}")
    assert post_form(made["upload"], DATA).status_code == 204
    said: list[Callable[[], Any]] = [
        lambda: handler(event, None),
        lambda: anna.call("POST", f"/photos/{photo_id}/complete").status_code,
    ] * 3
    random.Random(seed).shuffle(said)
    for answer in in_parallel(len(said), lambda n: said[n](), threads=1 if seed % 2 else 6):
        assert answer in (FINE, 200)
    run_jobs()
    assert handler(event, None) == FINE
    assert anna.photo(photo_id)["status"] == "ready"
    assert [status for status, _ in jobs_of(photo_id)] == ["completed"]
    assert sql("SELECT count(*) FROM renditions WHERE photo_id = :id", id=photo_id) == [(4,)]


def test_a_worker_that_fails_is_retried_and_in_the_end_the_photographer_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    anna = Photographer.registered()
    photo_id = anna.upload(anna.gallery()["id"])

    def broken(*_: object) -> Rendered:
        raise MemoryError("canary-inside")

    monkeypatch.setattr(child, "render", broken)
    for attempt in range(1, 6):
        assert run_jobs() == 1
        [(status, attempts)] = jobs_of(photo_id)
        assert (status, attempts) == ("failed" if attempt == 5 else "queued", attempt)
        assert run_jobs() == 0  # it waits before the next attempt
        sql("UPDATE jobs SET run_after = now() WHERE subject_id = :id", id=photo_id)
    shown = anna.photo(photo_id)
    assert (shown["status"], shown["failure_reason"]) == ("failed", processing.GAVE_UP)


def test_a_photo_whose_workers_all_died_is_given_up() -> None:
    anna = Photographer.registered()
    photo_id = anna.upload(anna.gallery()["id"])
    sql(
        "UPDATE jobs SET status = 'running', attempts = max_attempts, lease_until = now() - interval '1 second'"
        " WHERE subject_id = :id",
        id=photo_id,
    )
    assert run_jobs() == 1
    assert anna.photo(photo_id)["failure_reason"] == processing.GAVE_UP
    assert jobs_of(photo_id) == [("failed", 6)]


def test_keys_and_messages_that_are_not_ours_are_dropped_and_a_failing_one_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strangers = ("incoming/", "incoming/x", f"incoming/{uuid.uuid4()}", f"jobs/other/{uuid.uuid4()}", "../x", "")
    event = sqs_event(*strangers)
    for body in ("", "null", "[]", "{}", '{"Records": [{}]}', '{"Records": 7}', '{"Event": "s3:TestEvent"}'):
        extra = sqs_event("x")["Records"]
        extra[0]["body"] = body
        event["Records"] += extra
    assert handler(event, None) == FINE

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(upload, "object_arrived", unreachable)
    event = sqs_event(f"incoming/{uuid.uuid4()}", "nonsense")
    failed = [{"itemIdentifier": event["Records"][0]["messageId"]}]
    assert handler(event, None) == {"batchItemFailures": failed}
