"""One account's thousand photos delay another account's photo by one job of each worker: on AWS and on one machine."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from functions.analyse_photo.app import handler as measured
from functions.process_photo.app import handler
from local.template import Template
from local.worker import Worker
from safelight.config import settings
from safelight.errors import StorageUnavailable
from safelight.jobs import wake
from safelight.photos import processing
from safelight.queue import Queue
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


@pytest.fixture
def wake_ups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As on AWS, wake-ups leave through the bucket; their keys, as the bucket tells its queue of them."""
    sent: list[str] = []

    class Bucket:
        def write(self, key: str, *_: object) -> None:
            sent.append(key)

    monkeypatch.setattr(wake, "queue", lambda: Queue(Bucket()))
    return sent


def test_on_aws_another_photo_waits_for_one_job_of_each_worker(busy: list[str], wake_ups: list[str]) -> None:
    """A thousand messages stand in the queue before its upload arrives, and its wake-up stands behind them."""
    messages = list(busy)
    assert handler(sqs_event(*messages[:8]), None) == FINE
    del messages[:8]
    ben = Photographer.registered()
    photo_id = uploaded(ben)
    assert handler(sqs_event(f"incoming/{photo_id}"), None) == FINE
    assert ben.photo(photo_id)["status"] == "processing"
    assert sql("SELECT count(*) FROM jobs WHERE claimed_at IS NOT NULL") == [(8,)]  # an arrival claims no job
    [mine] = sql("SELECT id FROM jobs WHERE subject_id = :id", id=photo_id)
    assert wake_ups == [f"jobs/process_photo/{mine[0]}"]
    messages += wake_ups
    for answer in in_parallel(WORKERS, lambda n: handler(sqs_event(messages[n]), None), threads=WORKERS):
        assert answer == FINE
    assert ben.photo(photo_id)["status"] == "ready"
    assert claimed_before(photo_id) <= WORKERS


def test_an_arrival_that_comes_twice_late_or_for_nothing_makes_no_second_job(wake_ups: list[str]) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    twice, completed, erased = (anna.announce(gallery, jpeg()) for _ in range(3))
    for made in (twice, completed, erased):
        assert post_form(made["upload"], jpeg()).status_code == 204
    assert anna.call("POST", f"/photos/{completed['photo']['id']}/complete").status_code == 200
    assert anna.call("DELETE", f"/photos/{erased['photo']['id']}").status_code == 204
    events = [f"incoming/{made['photo']['id']}" for made in (twice, completed, erased)]
    for _ in range(2):
        assert handler(sqs_event(*events, f"incoming/{uuid.uuid4()}"), None) == FINE
    jobs = sql("SELECT id, subject_id, status, attempts FROM jobs")
    assert {(str(subject), status, attempts) for _, subject, status, attempts in jobs} == {
        (twice["photo"]["id"], "queued", 0), (completed["photo"]["id"], "queued", 0)
    }  # fmt: skip
    # A wake-up too many finds no job.
    assert set(wake_ups) == {f"jobs/process_photo/{job_id}" for job_id, *_ in jobs}
    assert handler(sqs_event(*wake_ups), None) == FINE
    assert sql("SELECT status, attempts FROM jobs") == [("completed", 1)] * 2
    before = len(wake_ups)
    assert handler(sqs_event(*events), None) == FINE
    assert len(wake_ups) == before
    assert sql("SELECT status, attempts FROM jobs") == [("completed", 1)] * 2


@pytest.mark.parametrize("kind", ["photo", "analysis"])
def test_an_arrival_whose_wake_up_could_not_be_written_is_delivered_again(
    kind: str, monkeypatch: pytest.MonkeyPatch, wake_ups: list[str]
) -> None:
    anna = Photographer.registered()
    key, handle, lost = f"incoming/{uploaded(anna)}", handler, f"incoming/{uploaded(anna)}"
    if kind == "analysis":
        handle = measured
        body = {"filename": "test.jpg", "content_type": "image/jpeg", "file_size": len(jpeg())}
        key, lost = (f"analyses/{anna.call('POST', '/analyses', json=body).json()['id']}/upload" for _ in range(2))
    event = sqs_event(lost, key)

    class Away:
        def write(self, *_: object) -> None:
            raise StorageUnavailable("the bucket does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(wake, "queue", lambda: Queue(Away()))
        assert handle(event, None) == {
            "batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]
        }
    assert sql("SELECT status, attempts FROM jobs") == [("queued", 0)] * 2
    assert handle(event, None) == FINE
    assert sorted(wake_ups) == sorted(f"jobs/{of}/{job_id}" for of, job_id in sql("SELECT kind, id FROM jobs"))
    assert handle(sqs_event(*wake_ups), None) == FINE
    assert sql("SELECT count(*) FROM jobs WHERE kind IN ('process_photo', 'analyse_photo') AND attempts = 1") == [(2,)]


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
    assert handler(sqs_event(*[f"incoming/{photo_id}" for _, photo_id in photos]), None) == FINE
    keys = [f"jobs/process_photo/{job_id}" for (job_id,) in sql("SELECT id FROM jobs")]
    batches = [keys[n : n + 3] for n in range(0, 12, 3)]
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
