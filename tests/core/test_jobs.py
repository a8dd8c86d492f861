"""The jobs table: one claim at a time, leases that run out, retries that end."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from safelight.db.engine import transaction
from safelight.jobs import queries, service
from safelight.jobs.service import LeaseLost
from safelight.models import Job
from safelight.models.job import SERVICE
from safelight.queue import Queue
from tests.claims import claimed, held
from tests.functions.support import in_parallel, sql

pytestmark = pytest.mark.usefixtures("pooled_settings")


def enqueued(queue: Queue | None = None, subject: uuid.UUID | None = None) -> uuid.UUID:
    with transaction() as session:
        return service.enqueue(session, queue or Queue(), "work", subject or uuid.uuid4(), SERVICE)


def run_out(job_id: uuid.UUID) -> None:
    sql("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = :id", id=job_id)


def state(job_id: uuid.UUID) -> tuple[str, int, str | None]:
    [(status, attempts, error)] = sql("SELECT status, attempts, error FROM jobs WHERE id = :id", id=job_id)
    return status, attempts, error


class Store:
    """What a wake-up would be written to; it looks whether the job can be seen by then."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def write(self, key: str, data: bytes, content_type: str) -> None:
        assert (data, content_type) == (b"", "application/octet-stream")
        job_id = key.rpartition("/")[2]
        self.seen.append((key, len(sql("SELECT id FROM jobs WHERE id = :id", id=job_id))))


def test_workers_are_woken_once_and_only_after_the_commit() -> None:
    store = Store()
    subject = uuid.uuid4()
    job_id = enqueued(Queue(store), subject)
    assert store.seen == [(f"jobs/work/{job_id}", 1)]
    assert enqueued(Queue(store), subject) == job_id

    def undone() -> None:
        with transaction() as session:
            service.enqueue(session, Queue(store), "work", uuid.uuid4(), SERVICE)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        undone()
    assert len(store.seen) == 1


def test_a_subject_has_one_live_job_however_many_ask_at_once() -> None:
    subject = uuid.uuid4()
    ids = set(in_parallel(16, lambda _: enqueued(subject=subject), threads=8))
    assert len(ids) == 1
    claim = held(ids.pop())
    assert enqueued(subject=subject) == claim.job_id
    with transaction() as session:
        service.complete(session, claim)
    assert enqueued(subject=subject) != claim.job_id


def test_of_many_claimers_one_wins() -> None:
    job_id = enqueued()
    claims = [claim for claim in in_parallel(16, lambda _: claimed(job_id), threads=8) if claim]
    assert [(claim.attempt, claim.fencing, claim.last) for claim in claims] == [(1, 1, False)]
    assert claimed(uuid.uuid4()) is None


def test_a_claimer_does_not_wait_for_another() -> None:
    sql("DELETE FROM jobs")
    job_id = enqueued()
    with transaction() as session:
        assert session.get_one(Job, job_id, with_for_update=True)
        assert claimed(job_id) is None
        assert service.claim(Queue(), "work") is None


def test_whoever_lost_the_lease_can_change_nothing_and_loses_what_was_written_with_it() -> None:
    job_id = enqueued()
    first = held(job_id)
    assert claimed(job_id) is None
    run_out(job_id)
    second = held(job_id)
    assert (second.attempt, second.fencing) == (2, 2)
    note = text("UPDATE jobs SET payload = '{\"written\": true}' WHERE id = :id")

    def finish(change: Callable[[Session], None]) -> None:
        with transaction() as session:
            session.execute(note, {"id": job_id})
            change(session)

    changes: list[Callable[[Session], None]] = [
        lambda session: service.complete(session, first),
        lambda session: service.fail(session, first, "no"),
        lambda session: service.retry(session, first, "no"),
        lambda session: service.extend(session, first, 0.5),
    ]
    for change in changes:
        with pytest.raises(LeaseLost):
            finish(change)
    assert state(job_id) == ("running", 2, None)
    assert sql("SELECT payload FROM jobs WHERE id = :id", id=job_id) == [({},)]
    with transaction() as session:
        service.extend(session, second, 0.5)
        service.complete(session, second)
    assert state(job_id)[0] == "completed"
    assert claimed(job_id) is None
    with pytest.raises(LeaseLost), transaction() as session:
        service.complete(session, second)


def test_a_lease_is_kept_by_reporting() -> None:
    job_id = enqueued()
    claim = held(job_id)
    run_out(job_id)
    with transaction() as session:
        service.extend(session, claim, 0.25)
    assert claimed(job_id) is None
    assert sql("SELECT progress FROM jobs WHERE id = :id", id=job_id) == [(0.25,)]


def test_retries_wait_longer_each_time_and_end() -> None:
    job_id = enqueued()
    for attempt in range(1, 6):
        claim = held(job_id)
        assert (claim.attempt, claim.last, claim.exhausted) == (attempt, attempt == 5, False)
        with transaction() as session:
            service.retry(session, claim, "x" * 1000)
        assert claimed(job_id) is None
        [(waits,)] = sql("SELECT run_after - now() FROM jobs WHERE id = :id", id=job_id)
        assert dt.timedelta(seconds=2**attempt / 2 - 1) < waits <= dt.timedelta(seconds=2**attempt)
        assert state(job_id) == ("queued", attempt, "x" * 500)
        sql("UPDATE jobs SET run_after = now() WHERE id = :id", id=job_id)
    assert held(job_id).exhausted
    sql("UPDATE jobs SET attempts = 40 WHERE id = :id", id=job_id)
    run_out(job_id)
    claim = held(job_id)
    with transaction() as session:
        service.retry(session, claim, "late")
    [(waits,)] = sql("SELECT run_after - now() FROM jobs WHERE id = :id", id=job_id)
    assert waits <= dt.timedelta(seconds=300)


def test_due_lists_what_may_start_now() -> None:
    sql("DELETE FROM jobs")
    queued, running, lapsed, later, done = (enqueued() for _ in range(5))
    held(running)
    held(lapsed)
    run_out(lapsed)
    sql("UPDATE jobs SET run_after = now() + interval '1 minute' WHERE id = :id", id=later)
    finished = held(done)
    with transaction() as session:
        service.complete(session, finished)
    with transaction() as session:
        assert {job_id for job_id, _ in queries.due(session, 10)} == {queued, lapsed}
        assert len(queries.due(session, 1)) == 1
        assert service.counts(session) == {("work", "queued"): 2, ("work", "running"): 2, ("work", "completed"): 1}
    sql("UPDATE jobs SET run_after = now() - interval '90 seconds' WHERE id = :id", id=queued)
    with transaction() as session:
        assert 89 < service.oldest_due_seconds(session) < 100
    sql("UPDATE jobs SET finished_at = now() - interval '8 days' WHERE id = :id", id=done)
    with transaction() as session:
        queries.delete_finished(session, dt.timedelta(days=7))
    assert sql("SELECT count(*) FROM jobs WHERE id = :id", id=done) == [(0,)]


def test_many_are_enqueued_at_once_and_each_is_woken_once() -> None:
    store = Store()
    wanted = {uuid.uuid4(): {"number": number} for number in range(1003)}
    first = next(iter(wanted))
    live = enqueued(subject=first)
    with transaction() as session:
        made = service.enqueue_all(session, Queue(store), "work", SERVICE, wanted)
        assert store.seen == []
    assert len(set(made)) == 1002  # the first has a live one
    assert live not in made
    assert sorted(store.seen) == sorted((f"jobs/work/{job_id}", 1) for job_id in made)
    rows = sql("SELECT subject_id, payload FROM jobs WHERE id = ANY(:ids)", ids=made)
    assert dict(rows) == {key: wanted[key] for key in wanted if key != first}
    with transaction() as session:
        assert service.enqueue_all(session, Queue(store), "work", SERVICE, wanted) == []
        assert service.enqueue_all(session, Queue(store), "work", SERVICE, {}) == []
