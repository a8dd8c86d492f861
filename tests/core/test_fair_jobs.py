"""Claims serve the owners of jobs in turn, whatever the length of their queues, and lose no wake-up."""

from __future__ import annotations

import json
import uuid
from collections import Counter

import pytest
from sqlalchemy import text

from safelight.config import Settings
from safelight.db.engine import transaction
from safelight.jobs import queries, service
from safelight.jobs.due import OWNERS
from safelight.models.job import SERVICE
from safelight.queue import Queue
from tests.functions.support import in_parallel, sql

ANNA, BEN, CLEO = (uuid.UUID(int=number) for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def _no_jobs(pooled_settings: Settings) -> None:
    assert pooled_settings.bucket
    sql("DELETE FROM jobs")


class Wakes(Queue):
    """Counts wake-ups."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def wake(self, kind: str, job_id: uuid.UUID) -> None:
        assert sql("SELECT 1 FROM jobs WHERE id = :id", id=job_id)
        self.sent.append(kind)


def enqueue(owner: uuid.UUID, count: int = 1, kind: str = "work") -> None:
    with transaction() as session:
        service.enqueue_all(session, Queue(), kind, owner, {uuid.uuid4(): {} for _ in range(count)})


def owner_of(claim: service.Claim) -> uuid.UUID:
    [(owner,)] = sql("SELECT owner_id FROM jobs WHERE id = :id", id=claim.job_id)
    assert isinstance(owner, uuid.UUID)
    return owner


def claim(queue: Queue | None = None) -> service.Claim | None:
    return service.claim(queue or Queue(), "work", lease_seconds=60)


def served(count: int, *, ends: bool = False) -> list[uuid.UUID]:
    """The owners of the next claims; with `ends` each job is done before the next is claimed, as by one worker."""
    owners = []
    for _ in range(count):
        held = claim()
        assert held is not None
        owners.append(owner_of(held))
        if ends:
            with transaction() as session:
                service.complete(session, held)
    return owners


def test_one_worker_serves_owners_in_turn() -> None:
    enqueue(ANNA, 4)
    enqueue(BEN, 2)
    enqueue(CLEO)
    enqueue(SERVICE)
    assert served(8, ends=True) == [ANNA, BEN, CLEO, SERVICE, ANNA, BEN, ANNA, ANNA]
    assert claim() is None


def test_the_owner_with_the_fewest_running_jobs_comes_first() -> None:
    enqueue(ANNA, 5)
    assert served(3) == [ANNA] * 3
    enqueue(BEN, 3)
    assert served(5) == [BEN, BEN, BEN, ANNA, ANNA]


def test_who_was_served_stands_behind_who_waits_although_both_run_nothing() -> None:
    enqueue(ANNA, 2)
    enqueue(BEN)
    assert served(1, ends=True) == [ANNA]
    enqueue(ANNA, 1000)
    sql("UPDATE jobs SET run_after = run_after - interval '1 hour' WHERE owner_id = :id", id=ANNA)
    assert served(2, ends=True) == [BEN, ANNA]


def test_an_owner_has_the_oldest_job_done_first() -> None:
    enqueue(ANNA, 3)
    sql("UPDATE jobs SET run_after = now() - interval '1 hour' WHERE id = (SELECT max(id::text)::uuid FROM jobs)")
    [(oldest,)] = sql("SELECT max(id::text)::uuid FROM jobs")
    held = claim()
    assert held is not None
    assert held.job_id == oldest


def test_what_waits_for_later_is_not_claimed_and_does_not_hide_others() -> None:
    enqueue(ANNA)
    sql("UPDATE jobs SET run_after = now() + interval '1 hour'")
    enqueue(BEN)
    enqueue(CLEO, kind="other")
    assert served(1) == [BEN]
    assert claim() is None


def test_a_job_whose_lease_ran_out_is_due_and_no_longer_counts_as_running() -> None:
    enqueue(ANNA, 2)
    enqueue(BEN, 2)
    assert served(2) == [ANNA, BEN]
    sql("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE status = 'running' AND owner_id = :a", a=ANNA)
    again = claim()
    assert again is not None
    assert (owner_of(again), again.attempt, again.fencing) == (ANNA, 2, 2)
    # Anna and Ben run one job each, and Ben was served longer ago.
    assert served(2) == [BEN, ANNA]


def test_many_claimers_take_each_job_once_and_none_goes_away_empty() -> None:
    for owner in (ANNA, BEN, CLEO, SERVICE):
        enqueue(owner, 16)
    claims = in_parallel(64, lambda _: claim(), threads=8)
    assert len({held.job_id for held in claims if held is not None}) == 64
    assert Counter(owner_of(held) for held in claims if held is not None) == dict.fromkeys(
        (ANNA, BEN, CLEO, SERVICE), 16
    )
    assert claim() is None


def test_a_claim_does_not_read_a_long_queue() -> None:
    """In pages of 8 KiB: the index alone of 100,000 due jobs has about a thousand."""
    sql(
        "INSERT INTO jobs (id, kind, subject_id, owner_id) "
        "SELECT gen_random_uuid(), 'work', gen_random_uuid(), :owner FROM generate_series(1, 100000)",
        owner=ANNA,
    )
    enqueue(BEN)
    sql("ANALYZE jobs")
    with transaction() as session:
        plan = session.scalar(text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {OWNERS}"), {"kind": "work"})
        top = (plan if isinstance(plan, list) else json.loads(str(plan)))[0]["Plan"]
        assert top["Actual Rows"] == 2
        assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 100
    with transaction() as session:
        before = session.scalar(text("SELECT pg_stat_get_xact_tuples_fetched('jobs'::regclass)"))
        assert queries.lock_next(session, "work")
        after = session.scalar(text("SELECT pg_stat_get_xact_tuples_fetched('jobs'::regclass)"))
        assert int(str(after)) - int(str(before)) < 100
    assert set(served(2)) == {ANNA, BEN}
    assert len(sql("SELECT 1 FROM jobs WHERE status = 'running'")) == 2


def test_a_wake_up_that_a_retried_job_used_is_replaced() -> None:
    """Each of two jobs was woken once; one failed and is tried again before the other's wake-up is delivered."""
    wakes = Wakes()
    enqueue(ANNA)
    first = claim(wakes)
    assert first is not None
    with transaction() as session:
        service.retry(session, first, "the store was away")
    sql("UPDATE jobs SET run_after = now() - interval '1 hour'")
    enqueue(ANNA)
    assert wakes.sent == []
    again = claim(wakes)  # by the wake-up of the second job
    assert again is not None
    assert (again.job_id, wakes.sent) == (first.job_id, ["work"])
    second = claim(wakes)  # by the one that took its place
    assert second is not None
    assert second.job_id != first.job_id
    assert wakes.sent == ["work"]


def test_no_wake_up_is_added_where_nothing_else_waits() -> None:
    wakes = Wakes()
    enqueue(ANNA)
    for attempt in range(1, 4):
        held = claim(wakes)
        assert held is not None
        assert held.attempt == attempt
        with transaction() as session:
            service.retry(session, held, "no")
        sql("UPDATE jobs SET run_after = now()")
    assert wakes.sent == []


def test_the_sweep_is_told_of_every_kind_however_many_wait_of_one() -> None:
    enqueue(ANNA, 20)
    enqueue(BEN, kind="other")
    with transaction() as session:
        assert Counter(kind for _, kind in queries.due(session, 5)) == {"work": 5, "other": 1}
