"""One account's thousand photos delay another account's photo by one job of each worker: on AWS and on one machine."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from functions.process_photo.app import handler
from local.template import Template
from local.worker import Worker
from safelight.config import settings
from safelight.photos import processing
from tests import product
from tests.api import Photographer, jpeg, post_form, sqs_event
from tests.functions.support import in_parallel, sql

pytestmark = pytest.mark.usefixtures("shared_api")

WORKERS = 4
FINE: dict[str, Any] = {"batchItemFailures": []}


@pytest.fixture(autouse=True)
def _no_jobs(shared_api: str) -> None:
    assert shared_api
    sql("DELETE FROM jobs")


@pytest.fixture
def busy() -> Iterator[list[str]]:
    """The wake-ups of a thousand queued photos of one account, whose bytes are not in the bucket."""
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    sql(
        "INSERT INTO photos (id, gallery_id, filename, content_type, file_size, s3_key, status, position)"
        " SELECT gen_random_uuid(), :gallery, 'x.jpg', 'image/jpeg', 1, 'none', 'processing', n"
        " FROM generate_series(1, 1000) AS n",
        gallery=gallery,
    )
    sql(
        "INSERT INTO jobs (id, kind, subject_id, owner_id, run_after)"
        " SELECT gen_random_uuid(), 'process_photo', p.id, g.owner_id, now() - interval '1 hour'"
        " FROM photos p JOIN galleries g ON g.id = p.gallery_id WHERE g.id = :gallery",
        gallery=gallery,
    )
    yield [f"jobs/process_photo/{job_id}" for (job_id,) in sql("SELECT id FROM jobs")]
    sql("DELETE FROM galleries WHERE id = :gallery", gallery=gallery)


def uploaded(ben: Photographer) -> str:
    """A photo in the bucket of which the bucket's event has not been delivered."""
    made = ben.announce(ben.gallery()["id"], jpeg())
    assert post_form(made["upload"], jpeg()).status_code == 204
    return str(made["photo"]["id"])


def claimed_before(photo_id: str) -> int:
    """How many other jobs were claimed between the moment when the photo's job was there and its claim."""
    [(count,)] = sql(
        "SELECT count(*) FROM jobs other, jobs mine WHERE mine.subject_id = :id AND other.id <> mine.id"
        " AND other.claimed_at BETWEEN mine.created_at AND mine.claimed_at",
        id=photo_id,
    )
    assert isinstance(count, int)
    return count


def test_on_aws_another_photo_waits_for_one_job_of_each_worker(busy: list[str]) -> None:
    """Its event stands behind a thousand messages; each of those claims the job that is next."""
    assert handler(sqs_event(*busy[:8]), None) == FINE
    ben = Photographer.registered()
    photo_id = uploaded(ben)
    # The first of these events records the arrival, and claims one job as every message does.
    messages = [f"incoming/{photo_id}", *busy[8 : 8 + WORKERS]]
    for answer in in_parallel(len(messages), lambda n: handler(sqs_event(messages[n]), None), threads=WORKERS):
        assert answer == FINE
    assert ben.photo(photo_id)["status"] == "ready"
    assert claimed_before(photo_id) <= WORKERS


def test_completed_by_the_client_it_is_served_by_the_next_message(busy: list[str]) -> None:
    assert handler(sqs_event(busy[0]), None) == FINE
    ben = Photographer.registered()
    photo_id = ben.upload(ben.gallery()["id"])
    assert handler(sqs_event(busy[1]), None) == FINE
    assert ben.photo(photo_id)["status"] == "ready"
    assert claimed_before(photo_id) == 0
    # Its own message is left, and does the job that the other one was meant for.
    [(mine,)] = sql("SELECT id FROM jobs WHERE subject_id = :id", id=photo_id)
    assert handler(sqs_event(f"jobs/process_photo/{mine}"), None) == FINE
    assert sql("SELECT count(*) FROM jobs WHERE status = 'queued'") == [(998,)]


def test_as_many_messages_as_jobs_leave_none_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delivered by several workers, twice and out of order; in one batch a message of another's failing job is fine."""
    someone = [Photographer.registered() for _ in range(3)]
    photos = [(who, uploaded(who)) for who in someone * 4]
    broken = photos[5][1]
    real = processing.whole

    def whole(store: Any, key: str, *rest: Any) -> Any:
        if broken in key:
            raise ConnectionError
        return real(store, key, *rest)

    monkeypatch.setattr(processing, "whole", whole)
    monkeypatch.setattr("safelight.jobs.service.random.uniform", lambda *_: 1000.0)  # it is not tried again meanwhile
    batches = [[f"incoming/{photo_id}" for _, photo_id in photos[n : n + 3]] for n in range(0, 12, 3)]
    for answer in in_parallel(4, lambda n: handler(sqs_event(*reversed(batches[n])), None), threads=WORKERS):
        assert answer == FINE  # the job that failed says so in its row, and no message comes again for it
    assert [who.photo(photo_id)["status"] for who, photo_id in photos] == [
        "processing" if photo_id == broken else "ready" for _, photo_id in photos
    ]
    assert sql("SELECT status, attempts, error FROM jobs WHERE subject_id = :id", id=broken) == [
        ("queued", 1, "builtins.ConnectionError")
    ]
    assert sql("SELECT count(*) FROM jobs WHERE status = 'completed'") == [(11,)]


def test_a_message_comes_again_when_its_claim_could_not_be_made_or_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """And whichever job it claims then, no job is held twice and none is lost."""
    anna, ben = Photographer.registered(), Photographer.registered()
    first, second = anna.upload(anna.gallery()["id"]), ben.upload(ben.gallery()["id"])
    [(job_id,)] = sql("SELECT id FROM jobs WHERE subject_id = :id", id=first)
    event = sqs_event(f"jobs/process_photo/{job_id}")
    again = {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}

    def away(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("safelight.jobs.queries.lock_next", away)
        assert handler(event, None) == again
    assert sql("SELECT status, attempts FROM jobs") == [("queued", 0)] * 2
    with monkeypatch.context() as patch:  # neither the result nor the failure can be written down
        patch.setattr("safelight.jobs.queries.update_held", away)
        assert handler(event, None) == again
    assert handler(event, None) == FINE
    assert sorted(sql("SELECT status, attempts FROM jobs")) == [("completed", 1), ("running", 1)]
    sql("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE status = 'running'")
    assert handler(event, None) == FINE
    assert {anna.photo(first)["status"], ben.photo(second)["status"]} == {"ready"}


def test_on_one_machine_another_photo_waits_for_one_job_of_each_worker(
    busy: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(busy) == 1000
    url = settings().database_url.get_secret_value()
    worker = Worker(Template(product.ROOT / "template.yaml"), url, settings().bucket, concurrency=2)
    monkeypatch.setattr(worker, "_ticks", {})
    ben = Photographer.registered()

    def until(done: str, **values: Any) -> None:
        end = time.monotonic() + 60
        while not sql(done, **values):
            assert time.monotonic() < end
            worker.step()
            time.sleep(0.01)

    try:
        until("SELECT 1 FROM jobs WHERE status = 'failed' OFFSET 5")
        photo_id = ben.upload(ben.gallery()["id"])
        until("SELECT 1 FROM photos WHERE status = 'ready' AND id = :id", id=uuid.UUID(photo_id))
        assert claimed_before(photo_id) <= 2
        assert sql("SELECT 1 FROM jobs WHERE status = 'queued'")
    finally:
        for one in worker._handlers.values():
            one.close()
        worker._disconnect()


def test_a_photo_of_an_erased_account_holds_up_nothing(busy: list[str]) -> None:
    sql("DELETE FROM galleries")
    ben = Photographer.registered()
    photo_id = ben.upload(ben.gallery()["id"])
    assert handler(sqs_event(*busy[:2]), None) == FINE
    assert ben.photo(photo_id)["status"] == "ready"
